from __future__ import annotations

import gc
import logging
import weakref
from pathlib import Path

import msgspec
import numpy as np
import pytest

from addresses import unix
from antiphon.errors import EngineFailed, InvalidRequest
from antiphon.workers.speech import transcriber as speech_transcriber
from antiphon.workers.speech.options import Device, Options
from antiphon.workers.speech.schedule import Task
from antiphon.workers.speech.transcriber import GPU_LANES, Transcriber, weights
from antiphon.workers.speech.values import RATE, Job, Rung, Window
from speech_house import Ear, write_tokens

LITTLE, LARGE = 1_000_000, 2_000_000


@pytest.fixture
def models(tmp_path: Path) -> dict[str, Path]:
    for name, size in (("little", LITTLE), ("large", LARGE)):
        (tmp_path / name).mkdir()
        with (tmp_path / name / "model.bin").open("wb") as file:
            file.truncate(size)
        write_tokens(tmp_path / name, "en", "de")
    return {"little": tmp_path / "little", "large": tmp_path / "large"}


@pytest.fixture
def ears(monkeypatch: pytest.MonkeyPatch) -> dict[str, Ear]:
    """What has been loaded in place of each model, by the name of its folder."""
    ears: dict[str, Ear] = {}

    def load(folder: Path, shape: object, **given: object) -> Ear:
        ears[folder.name] = Ear()
        return ears[folder.name]

    monkeypatch.setattr(speech_transcriber, "Whisper", load)
    return ears


def made(models: dict[str, Path], memory: int = 0) -> Transcriber:
    return Transcriber(Options(listen=unix("unused"), models=models, memory=memory))


def in_memory(transcriber: Transcriber) -> list[str]:
    return [name for name, held in transcriber._models._held.items() if held.model is not None]


def job(model: str = "little", language: str | None = None, temperature: float = 0.0) -> Job:
    return Job(id="a", organization="ours", model=model, language=language, temperature=temperature)


def window(seconds: float = 10) -> Window:
    return Window(number=0, start=0, samples=np.zeros(round(seconds * RATE), np.int16))


def test_the_weights_of_a_model_are_its_file(models: dict[str, Path], tmp_path: Path) -> None:
    assert weights(models["little"]) == LITTLE
    assert weights(tmp_path / "nothing") == 1


def test_what_is_served_need_not_be_loaded(models: dict[str, Path], ears: dict[str, Ear]) -> None:
    transcriber = made(models)
    assert transcriber.serves("little") and transcriber.serves("large") and not transcriber.serves("other")
    assert ears == {}


def test_each_batch_is_heard_by_its_model(models: dict[str, Path], ears: dict[str, Ear]) -> None:
    transcriber = made(models)
    for model in ("large", "little"):
        task = transcriber.task(job(model), window(), None, 0.0)
        with transcriber.use(model):
            [heard] = transcriber.hear([task])
        assert not isinstance(heard, Rung) and heard.segments
        assert ears[model].batches == [[task]]
    with pytest.raises(EngineFailed):  # nobody uses it any more, and another has driven it out
        transcriber.hear([Task(job=job("other"), window=window(), rung=Rung(), key=0, cost=0.0)])


def test_a_model_goes_when_another_one_needs_its_memory(
    models: dict[str, Path], ears: dict[str, Ear]
) -> None:
    transcriber = made(models, memory=3_000_000)
    for model in ("little", "large"):
        with transcriber.use(model):
            transcriber.hear([transcriber.task(job(model), window(), None, 0.0)])
    assert in_memory(transcriber) == ["large"]


def test_a_task_is_on_its_first_rung(models: dict[str, Path]) -> None:
    transcriber = made(models)
    task = transcriber.task(job(temperature=0.4), window(), "de", 3.5)
    assert (task.rung, task.language, task.remaining) == (Rung(0.4), "de", 3.5)
    assert transcriber.task(job(language="fr"), window(), "de", 0.0).language == "fr"
    key, cost = task.key, task.cost
    task.rung = Rung(0.4, full=True)
    transcriber.renew(task)
    assert task.key != key and task.cost > cost


def test_costs_grow_with_the_model_and_the_recording(models: dict[str, Path]) -> None:
    transcriber = made(models)
    little = transcriber.cost(job(), 60)
    assert little > 0
    assert transcriber.cost(job(), 120) == pytest.approx(2 * little)
    assert transcriber.cost(job("large"), 60) == pytest.approx(2 * little)
    assert transcriber.cost(job(), 0) == transcriber.cost(job(), -5) == 0
    # As many windows of ordinary length cost what their recording does.
    task = transcriber.task(job(), window(10), None, 0.0)
    assert transcriber.cost(job(), 10) == pytest.approx(task.cost)


def test_a_language_is_asked_of_the_models_files(models: dict[str, Path], ears: dict[str, Ear]) -> None:
    transcriber = made(models)
    transcriber.refuse(job())
    transcriber.refuse(job(language="de"))
    for wrong in ("xx", "translate", "transcribe", "endoftext"):
        with pytest.raises(InvalidRequest) as refusal:
            transcriber.refuse(job(language=wrong))
        assert refusal.value.param == "language"
    # Whoever asks drives no other model out.
    assert ears == {}


def test_a_language_is_not_refused_where_the_files_do_not_tell(
    models: dict[str, Path], ears: dict[str, Ear]
) -> None:
    (models["little"] / "tokenizer.json").unlink()
    made(models).refuse(job(language="xx"))


def test_what_a_model_cannot_do_is_refused_before_it_is_tried(
    models: dict[str, Path], ears: dict[str, Ear]
) -> None:
    english = models["little"]
    write_tokens(english, first=50_256)
    (models["large"] / "config.json").write_text("{}")
    transcriber = made(models)
    translation = msgspec.structs.replace(job(), task="translate")
    words = msgspec.structs.replace(job("large"), words=True)
    for asked, param in ((translation, "model"), (words, "timestamp_granularities")):
        with pytest.raises(InvalidRequest) as refusal:
            transcriber.refuse(asked)
        assert refusal.value.param == param
    transcriber.refuse(msgspec.structs.replace(words, model="little"))
    transcriber.refuse(msgspec.structs.replace(translation, model="large"))
    assert ears == {}


class Broken(Ear):
    """Loads, and then cannot be run."""

    def warm_up(self) -> None:
        raise RuntimeError("the secret inside")


def test_a_model_that_cannot_be_used_leaves_the_others_alone(
    models: dict[str, Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def load(folder: Path, shape: object, **given: object) -> Ear:
        if folder.name == "missing":
            raise RuntimeError("the secret inside")
        return Broken() if folder.name == "large" else Ear()

    monkeypatch.setattr(speech_transcriber, "Whisper", load)
    missing = models["little"].parent / "missing"
    transcriber = made({"missing": missing, **models})
    with caplog.at_level(logging.ERROR):
        transcriber.warm_up()
    told = " ".join(record.getMessage() for record in caplog.records)
    assert "missing" in told and "large" in told and "little" not in told and "secret" not in caplog.text
    with pytest.raises(EngineFailed):
        made({"missing": missing, "large": models["large"]}).warm_up()


def test_as_many_models_are_warmed_up_as_fit_together(
    models: dict[str, Path], ears: dict[str, Ear], caplog: pytest.LogCaptureFixture
) -> None:
    third = models["little"].parent / "third"
    third.mkdir()
    transcriber = made({**models, "third": third}, memory=3_000_000)
    with caplog.at_level(logging.ERROR):
        transcriber.warm_up()
    # The large one would drive the little one out; of what is not loaded the files are there, or not.
    assert list(ears) == ["little", "third"] and in_memory(transcriber) == ["little", "third"]
    assert transcriber.unusable == frozenset() and not caplog.records

    (models["large"] / "tokenizer.json").unlink()
    transcriber = made({**models, "third": third}, memory=round(1.3 * LITTLE))
    with caplog.at_level(logging.ERROR):
        transcriber.warm_up()
    assert in_memory(transcriber) == ["little"]
    assert transcriber.unusable == {"large", "third"} and len(caplog.records) == 2


def test_the_first_model_may_be_larger_than_the_budget(models: dict[str, Path], ears: dict[str, Ear]) -> None:
    transcriber = made(models, memory=1)
    transcriber.warm_up()
    assert list(ears) == ["little"] and transcriber.unusable == frozenset()


def test_no_two_models_are_in_memory_that_do_not_fit(
    models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first can be loaded and then not be used: it is gone when the next is loaded."""
    alive: weakref.WeakSet[Ear] = weakref.WeakSet()
    most = 0

    def load(folder: Path, shape: object, **given: object) -> Ear:
        nonlocal most
        model = Broken() if folder.name == "little" else Ear()
        alive.add(model)
        gc.collect()
        most = max(most, len(alive))
        return model

    monkeypatch.setattr(speech_transcriber, "Whisper", load)
    transcriber = made(models, memory=2_700_000)
    transcriber.warm_up()
    assert most == 1 and transcriber.unusable == {"little"} and in_memory(transcriber) == ["large"]


def test_the_bundled_model_warms_up(transcriber: Transcriber) -> None:
    transcriber.warm_up()
    assert in_memory(transcriber) == ["whisper-base"]


@pytest.mark.parametrize(
    ("device", "gpus", "library", "lanes"),
    [
        ("auto", 0, None, 5),
        ("auto", 1, None, GPU_LANES),
        ("auto", 1, "libnowhere.so", 5),
        ("cuda", 1, "libnowhere.so", GPU_LANES),
        ("cpu", 1, None, 5),
    ],
)
def test_a_gpu_has_few_lanes_so_that_batches_are_large(
    device: Device, gpus: int, library: str | None, lanes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("antiphon.workers.speech.whisper._CUBLAS", library)
    monkeypatch.setattr("ctranslate2.get_cuda_device_count", lambda: gpus)
    assert Transcriber(Options(listen=unix("unused"), models={}, threads=5, device=device)).lanes == lanes

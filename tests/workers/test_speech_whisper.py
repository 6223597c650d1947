"""The bundled model, on windows cut by hand."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sounds
from antiphon.errors import EngineFailed
from antiphon.workers.speech import whisper as speech_whisper
from antiphon.workers.speech.schedule import Task
from antiphon.workers.speech.values import RATE, Heard, Job, Rung, Window
from antiphon.workers.speech.whisper import Shape, Whisper, cost, frames, key, rate

KENNEDY = "ask not what your country can do for you ask what you can do for your country"
SHAPE, FIRST = Shape(), Rung()
shapes = st.builds(
    Shape, pad=st.floats(0, 25), floor=st.floats(1, 30), step=st.floats(0.1, 30), beam=st.integers(1, 10)
)


def window(samples: sounds.Samples, start: float = 0, **differing: int) -> Window:
    return Window(number=0, start=round(start * RATE), samples=samples, **differing)


def silent(seconds: float) -> Window:
    return window(sounds.silence(seconds))


def task(window: Window, rung: Rung = FIRST, language: str | None = None, **asked: object) -> Task:
    job = Job(id="a", organization="ours", model="m", **asked)  # type: ignore[arg-type]
    return Task(job=job, window=window, rung=rung, language=job.language or language, key=None, cost=0.0)


def text(heard: Heard | Rung) -> str:
    assert isinstance(heard, Heard)
    return " ".join(re.findall(r"\w+", "".join(one.text for one in heard.segments).lower()))


@pytest.fixture(scope="module")
def kennedy(recordings: Path) -> sounds.Samples:
    return sounds.read(recordings / "en_whisper_jfk.flac")


@pytest.fixture(scope="module")
def german(recordings: Path) -> sounds.Samples:
    return sounds.read(recordings / "de_cuttledoc_fleurs-de-004.ogg")[: 8 * RATE]


def test_a_batch_is_heard_row_by_row(
    whisper: Whisper, kennedy: sounds.Samples, german: sounds.Samples
) -> None:
    """Each in its own language and at its own place in its recording, with words where they are asked for."""
    around = sounds.silence((len(kennedy) / RATE - 8) / 2)
    padded = np.concatenate([around, german, around])
    tasks = [
        task(window(kennedy, 100.0), words=True),
        task(window(padded)),
        task(silent(11.0), language="fr"),
    ]
    english, other, nothing = whisper.hear(tasks)
    assert KENNEDY in text(english)
    assert isinstance(english, Heard) and isinstance(other, Heard)
    assert (english.language, other.language) == ("en", "de")
    assert nothing == Rung(full=True), "the voice detector heard somebody"
    for segment in english.segments:
        assert 100 <= segment.start < segment.end <= 111 and segment.seek == 10_000
        assert segment.tokens and segment.temperature == 0.0 and segment.avg_logprob < 0
        assert {type(getattr(segment, n)) for n in ("start", "end", "no_speech_prob")} == {float}
    words = [word for segment in english.segments for word in segment.words]
    assert len(words) == 22 and all(type(word.start) is float for word in words)
    assert all(100 <= word.start <= word.end <= 111.5 for word in words)
    assert all(one.start <= following.start for one, following in pairwise(words))
    for segment in english.segments:
        assert "".join(word.word for word in segment.words) == segment.text
    assert other.segments and all(segment.words == [] for segment in other.segments)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Zürich, Antiphon.", True),
        ("ZÜRICH - kubernetes", True),
        ("In Zürich", False),
        ("你好世界", True),
        ("你好，世", True),
        ("你好吗", False),
    ],
)
def test_words_are_looked_up_in_the_prompt(text: str, expected: bool) -> None:
    assert speech_whisper._parrots(text, "Antiphon, Kubernetes, Zürich: 你好世界。") == expected


def test_german_is_translated_into_english(whisper: Whisper, german: sounds.Samples) -> None:
    [translated] = whisper.hear([task(window(german), task="translate")])
    assert isinstance(translated, Heard) and translated.language == "de"
    assert {"the", "of", "and", "to"} & set(text(translated).split())


def test_a_seam_of_a_translation_is_mended_by_english_words(whisper: Whisper, german: sounds.Samples) -> None:
    """Languages without spaces are split by characters, their translations are not."""
    [heard] = whisper.hear([task(window(german, tail=RATE), task="translate", language="ja")])
    assert isinstance(heard, Heard) and heard.language == "ja"
    words = [word.word for segment in heard.segments for word in segment.words]
    assert len(words) > 10 and all(word.startswith(" ") for word in words)


@pytest.fixture
def timeless(whisper_base: Path, tmp_path: Path) -> Whisper:
    """The bundled model, if its converter had not told which heads look at the sound."""
    for name in ("model.bin", "tokenizer.json", "vocabulary.txt"):
        (tmp_path / name).symlink_to(whisper_base / name)
    config = json.loads((whisper_base / "config.json").read_text())
    del config["alignment_heads"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    return Whisper(tmp_path, SHAPE, lanes=1)


def test_a_model_that_cannot_align_is_refused_only_where_words_are_asked_for(
    timeless: Whisper, kennedy: sounds.Samples
) -> None:
    [heard] = timeless.hear([task(window(kennedy, tail=RATE), language="en")])
    assert KENNEDY in text(heard)
    assert isinstance(heard, Heard) and all(segment.words == [] for segment in heard.segments)
    with pytest.raises(EngineFailed, match="when words are said"):
        timeless.hear([task(window(kennedy), language="en", words=True)])


def test_a_window_that_shares_sound_has_words(whisper: Whisper, kennedy: sounds.Samples) -> None:
    [heard] = whisper.hear([task(window(kennedy[: 4 * RATE], tail=RATE), language="en")])
    assert isinstance(heard, Heard)
    assert heard.segments and all(segment.words for segment in heard.segments)


def test_a_long_prompt_leaves_room_for_the_text(
    whisper: Whisper, kennedy: sounds.Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CTranslate2 halves the length that it is given, whatever the prompt: exactly what is allowed comes."""
    monkeypatch.setattr(speech_whisper, "_limit", lambda window, rung, before: 6)
    for prompt in (None, "Americans.", "My fellow Americans. " * 100):
        short = task(window(kennedy[: 4 * RATE]), language="en", prompt=prompt)
        [again] = whisper.hear([short])
        [attempt] = short.attempts
        assert len(attempt.tokens) == 6 and not attempt.ended
        assert again == Rung(0.0, full=True)


@pytest.mark.parametrize(("prompt", "room"), [("", 445), ("And so, my fellow Americans, ask. " * 60, 221)])
def test_the_longest_prompt_and_text_fit_the_model(
    whisper: Whisper, kennedy: sounds.Samples, monkeypatch: pytest.MonkeyPatch, prompt: str, room: int
) -> None:
    """Scripts that take a token for each byte need all of it, and a model that never ends finds an end."""
    monkeypatch.setattr(whisper, "_shape", Shape(beam=1))
    monkeypatch.setattr(speech_whisper, "MOST_TOKENS_A_SECOND", 1000)
    eot = whisper._language.eot
    monkeypatch.setattr(whisper._language, "suppressed", [eot, *whisper._language.suppressed])
    one = task(window(kennedy[: 4 * RATE]), Rung(full=True), language="en", prompt=prompt)
    one.job, one.language = msgspec.structs.replace(one.job, language="en"), "en"
    assert whisper.hear([one]) == [Rung(0.2, full=True)]
    [attempt] = one.attempts
    assert len(attempt.tokens) == room and not attempt.ended


def test_company_does_not_change_what_is_thought_of_a_window(
    whisper: Whisper, kennedy: sounds.Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A short window's text may become as long as its neighbour's; it counts as one that did not end."""
    limits = {4.0: 8, 4.5: 100}
    monkeypatch.setattr(speech_whisper, "_limit", lambda window, rung, before: limits[window.seconds])
    ended = []
    for lengths in ([4.0], [4.0, 4.5], [4.5]):
        tasks = [task(window(kennedy[: round(length * RATE)]), language="en") for length in lengths]
        whisper.hear(tasks)
        ended.append([(one.window.seconds, one.attempts[0].ended) for one in tasks])
    assert ended == [[(4.0, False)], [(4.0, False), (4.5, True)], [(4.5, True)]]


def test_a_short_context_stops_what_nobody_can_say_so_fast() -> None:
    second, longest = silent(1.0), silent(17.0)
    assert [speech_whisper._limit(one, FIRST, 3) for one in (second, longest)] == [48, 220]
    assert [speech_whisper._limit(one, Rung(full=True), 227) for one in (second, longest)] == [72, 221]


def test_high_temperatures_are_not_led_by_the_prompt(
    whisper: Whisper, kennedy: sounds.Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[int] = []
    context = whisper._language.context
    monkeypatch.setattr(whisper._language, "context", lambda text: shown.append(1) or context(text))
    sound = window(kennedy[: 4 * RATE])
    for rung, asked, expected in (
        (Rung(0.4, full=True), 0.0, 1), (Rung(0.6, full=True), 0.0, 0), (Rung(0.6, full=True), 0.6, 1),
    ):  # fmt: skip
        shown.clear()
        whisper.hear([task(sound, rung, language="en", prompt="Americans.", temperature=asked)])
        assert len(shown) == expected


def test_a_text_that_the_prompt_holds_is_known(whisper: Whisper, kennedy: sounds.Samples) -> None:
    for prompt, rung, expected in (
        (f"He said: {KENNEDY}", FIRST, False),
        (f"And so, my fellow Americans: {KENNEDY}!", FIRST, True),
        (f"And so, my fellow Americans: {KENNEDY}!", Rung(0.6, full=True), False),
    ):
        one = task(window(kennedy), rung, language="en", prompt=prompt)
        whisper.hear([one])
        assert one.attempts[0].parrots == expected


def test_only_the_last_rungs_may_leave_the_language(
    whisper: Whisper, german: sounds.Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And when the last one is wrong too, the best of all attempts is told."""
    monkeypatch.setattr(speech_whisper, "verdict", lambda attempt: "wrong")
    monkeypatch.setattr(speech_whisper, "_limit", lambda window, rung, before: 12)
    first = task(window(german), language="en")
    assert whisper.hear([first]) == [Rung(0.0, full=True)]
    assert first.attempts[-1].language == "en"
    first.rung = Rung(1.0, full=True)
    [heard] = whisper.hear([first])
    assert first.attempts[-1].language == "de"
    assert len(first.attempts) == 2
    best = max(first.attempts, key=lambda attempt: attempt.avg_logprob)
    assert isinstance(heard, Heard) and heard.language == best.language
    given = task(window(german), Rung(full=True), language="en")
    fixed = task(window(german), Rung(full=True))
    found = whisper._languages([given, fixed], whisper._model.encode(whisper._read([german, german], 3000)))
    assert [code for code, _ in found] == ["de", "de"] and all(0.8 <= sure < 1 for _, sure in found)


def test_a_language_that_is_given_is_kept(whisper: Whisper, german: sounds.Samples) -> None:
    given = task(window(german), Rung(full=True))
    given.job, given.language = Job(id="a", organization="o", model="m", language="en"), "en"
    encoded = whisper._model.encode(whisper._read([german], 1000))
    assert whisper._languages([given], encoded) == [("en", 1.0)]


@given(shapes, st.floats(0.1, 30), st.floats(0.1, 30))
def test_the_context_holds_the_window_and_grows_with_it(shape: Shape, one: float, other: float) -> None:
    shorter, longer = sorted([silent(one), silent(other)], key=lambda window: window.seconds)
    count = frames(longer, Rung(), shape)
    assert min(3000, (longer.seconds + shape.pad) * 100 - 1, shape.floor * 100) <= count <= 3000
    assert count >= longer.seconds * 100 - 1
    assert frames(shorter, Rung(), shape) <= count
    assert frames(shorter, Rung(full=True), shape) == 3000
    assert cost(shorter, Rung(), shape, 10**8) <= cost(longer, Rung(), shape, 10**8)
    assert cost(longer, Rung(), shape, 10**8) <= cost(longer, Rung(full=True), shape, 10**8)


def test_what_can_be_one_batch_has_one_key() -> None:
    def of(length: float = 5.0, rung: Rung = FIRST, **asked: object) -> object:
        one = task(silent(length), rung, **asked)
        return key(one.job, one.window, rung, SHAPE)

    assert of() == of() == of(4.8) == of(language="de") == of(words=True)
    others = [of(9), of(rung=Rung(0.2)), of(task="translate"), of(prompt="x"), of(rung=Rung(full=True))]
    assert len({of(), *others}) == 6


def test_a_second_costs_less_than_a_second() -> None:
    assert 0.01 < rate(SHAPE, 145_217_532) < 0.5
    assert rate(Shape(beam=1), 145_217_532) < rate(SHAPE, 145_217_532)

"""Real decoders, windows, lanes; the model is real where a text matters, made up where time or faults do."""

from __future__ import annotations

import asyncio
import gc
import logging
import re
import threading
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.recordings import read as read_manifest
from benchmarks.words import error_rate, normalise

import sounds
from antiphon.address import Address
from antiphon.errors import (
    AntiphonError,
    EngineFailed,
    InternalError,
    InvalidAudio,
    InvalidRequest,
    NotFound,
    RequestTimeout,
    TooLarge,
    Unavailable,
)
from antiphon.values import Progress, Segment, Transcript, Usage
from antiphon.workers.speech import desk as speech_desk
from antiphon.workers.speech import recording as speech_recording
from antiphon.workers.speech import transcript as speech_transcript
from antiphon.workers.speech.decoder import Decoders
from antiphon.workers.speech.desk import ALONE, EXTRA
from antiphon.workers.speech.lanes import STUCK_SECONDS
from antiphon.workers.speech.options import Options
from antiphon.workers.speech.refusals import WRONG_LENGTH
from antiphon.workers.speech.schedule import Task
from antiphon.workers.speech.transcriber import Transcriber
from antiphon.workers.speech.vad import FRAME, Vad
from antiphon.workers.speech.values import Heard, Job, Rung, Window
from bad_input.lies import _mp4_count
from speech_house import (
    SECONDS,
    WINDOWS,
    Answer,
    Desks,
    Ear,
    House,
    heard,
    house,
    silent_decoding,
    spaced,
    text,
    upload,
    write_tokens,
)
from until import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

ALL = " ".join(f"window {number}" for number in range(WINDOWS))
"""Of the clip."""


@pytest.fixture
def real(decoders: Decoders, transcriber: Transcriber) -> Desks:
    """A desk with the bundled model."""
    return partial(house, decoders, transcriber)


def job(id: str = "a", **asked: object) -> Job:
    known: dict[str, object] = {"organization": "ours", "model": "m"}
    return Job(id=id, **known | asked)  # type: ignore[arg-type]


async def heard_in(house: House, job: Job, data: bytes) -> tuple[list[Segment], Transcript]:
    """All that a recording gives."""
    with upload(data) as file:
        async with house.desk.open(job, file) as recording:
            async with aclosing(house.desk.transcribe(job, recording, file)) as pieces:
                *segments, transcript = [piece async for piece in pieces]
    assert isinstance(transcript, Transcript)
    return [one for one in segments if isinstance(one, Segment)], transcript


def plain(segments: list[Segment]) -> str:
    return " ".join(re.findall(r"\w+", text(segments).lower()))


@dataclass
class Client:
    """Somebody who reads a recording's pieces in a task of its own, and may leave."""

    got: list[Segment | Progress | Transcript]
    task: asyncio.Task[None]

    async def leave(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


def client(house: House, job: Job, data: bytes) -> Client:
    got: list[Segment | Progress | Transcript] = []

    async def read() -> None:
        with upload(data) as file:
            async with house.desk.open(job, file) as recording:
                async with aclosing(house.desk.transcribe(job, recording, file)) as pieces:
                    async for piece in pieces:
                        got.append(piece)

    return Client(got, asyncio.create_task(read()))


# What is heard, with the bundled model.


async def test_a_recording_in_windows_is_one_text(real: Desks, parts: list[sounds.Samples]) -> None:
    data = sounds.encode(np.concatenate([sounds.silence(5), spaced(parts[0], parts[1])]), "flac")
    async with real() as house:
        segments, transcript = await heard_in(house, job(model="whisper-base", words=True), data)
    assert plain(segments).endswith("with ugly ones in 1813") or "eighteen" in plain(segments)
    assert "same operations" in plain(segments)
    assert transcript == Transcript(
        language="en", duration=transcript.duration, usage=Usage(seconds=transcript.duration)
    )
    assert transcript.duration == pytest.approx(5 + 2.58 + 2 + 1.54 + 2, abs=0.02)
    assert [one.id for one in segments] == list(range(len(segments)))
    assert 3.5 < segments[0].start < 6 and 8 < segments[-1].start < segments[-1].end < 12
    words = [word for one in segments for word in one.words]
    assert all(3.5 <= word.start <= word.end <= 12 for word in words)
    assert [word.start for word in words] == sorted(word.start for word in words)


async def test_speech_without_a_pause_loses_and_doubles_nothing(
    real: Desks, recordings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is cut in the middle of words, with overlap. What is heard is compared with uncut windows."""
    seams = []
    join = speech_transcript.join

    def watched(*given: Any) -> Any:
        seams.append(given)
        return join(*given)

    monkeypatch.setattr(speech_transcript, "join", watched)
    clips = [one for one in read_manifest(recordings) if one.language == "en" and one.seconds > 6]
    sounds_ = [sounds.encode(squeezed(sounds.read(one.path)), "flac") for one in clips]
    asked = job(model="whisper-base", language="en")
    wrong, said = [], []
    for window in (28.0, 5.0):
        async with real(window=window) as house:
            texts = [text((await heard_in(house, asked, sound))[0]) for sound in sounds_]
        wrong.append(error_rate([one.reference for one in clips], texts, "en"))
        said.append(sum(len(normalise(one, "en").split()) for one in texts))
        assert bool(seams) == (window < 6)
    assert len(seams) >= 6 and wrong[1] <= wrong[0] + 0.05
    assert said[1] == pytest.approx(said[0], rel=0.03)


def squeezed(samples: sounds.Samples) -> sounds.Samples:
    """Without whatever the detector does not hear speech in."""
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
    return frames[Vad()(frames.reshape(-1)) >= 0.5].reshape(-1)


async def test_a_prompt_a_language_and_a_temperature_are_followed(real: Desks, recordings: Path) -> None:
    data = (recordings / "fr_cuttledoc_fleurs-fr-000.ogg").read_bytes()
    asked = {"language": "fr", "prompt": "Un accident de train.", "temperature": 0.2}
    async with real() as house:
        segments, transcript = await heard_in(house, job(model="whisper-base", **asked), data)
    assert transcript.language == "fr" and "accident" in plain(segments)
    assert all(one.temperature == pytest.approx(0.2) for one in segments)
    assert all(one.words == [] for one in segments)


async def test_a_translation_tells_the_language_that_was_spoken(real: Desks, recordings: Path) -> None:
    german = sounds.read(recordings / "de_cuttledoc_fleurs-de-004.ogg")[: 7 * 16_000]
    async with real() as house:
        segments, transcript = await heard_in(
            house, job(model="whisper-base", task="translate"), sounds.encode(german)
        )
    assert transcript.language == "de" and {"the", "of", "to", "and"} & set(plain(segments).split())


@pytest.mark.parametrize(("asked", "language"), [({}, "en"), ({"language": "de"}, "de")])
@pytest.mark.parametrize("level", [0, 30])
async def test_silence_is_never_heard(
    fake: Desks, ear: Ear, level: int, asked: dict[str, str], language: str
) -> None:
    quiet = np.random.default_rng(5).normal(0, level, 12 * 16_000).astype(np.int16)
    async with fake() as house:
        segments, transcript = await heard_in(house, job(**asked), sounds.encode(quiet))
    assert segments == [] and ear.batches == []
    assert transcript == Transcript(language=language, duration=12.0, usage=Usage(seconds=12.0))


# How windows go to the lanes, and back.


def telling(told: list[tuple[str, float]]) -> Callable[[Task], Answer]:
    """An ear that is so sure of these languages for the first windows, and of Danish for all others."""

    def answer(task: Task) -> Answer:
        language, certainty = [*told, ("da", 1.0)][min(task.window.number, len(told))]
        segments = heard(task).segments if certainty else ()
        if task.language is not None:
            return Heard(segments=segments, language=task.language)
        return Heard(segments=segments, language=language, certainty=certainty)

    return answer


async def test_the_first_certain_language_is_that_of_all_that_follows(
    fake: Desks, ear: Ear, clip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speech_transcript, "CERTAIN", 2.0)
    ear.answers = telling([("nn", 0.0), ("de", 0.9)])
    async with fake() as house:
        segments, transcript = await heard_in(house, job(), clip)
    assert [batch[0].language for batch in ear.batches] == [None, None, "de"]
    assert transcript.language == "de" and text(segments) == "window 1 window 2"


async def test_an_uncertain_window_decides_for_none_but_itself(fake: Desks, ear: Ear, long: bytes) -> None:
    """Nor does it hold the others up: only the first ones are waited for."""
    ear.answers = telling([("nn", 0.2)] * 4)
    async with fake() as house:
        segments, transcript = await heard_in(house, job(), long)
    languages = [task.language for batch in ear.batches for task in batch]
    assert languages[:4] == [None] * 4 and languages[-1] == "da" and set(languages) == {None, "da"}
    assert transcript.language == "da" and len(segments) == 24


async def test_windows_of_an_unknown_language_are_heard_side_by_side(
    fake: Desks, ear: Ear, long: bytes
) -> None:
    def answer(task: Task) -> Answer:
        if task.window.number == ALONE:
            ear.open.clear()
        return Heard(segments=(), language="nn")

    ear.answers = answer
    async with fake() as house:
        reader = client(house, job(), long)
        await until(lambda: len(house.lanes._schedule) >= house.desk._ahead - 1)
        ear.open.set()
        await reader.task


async def test_a_language_that_is_given_is_that_of_every_window(fake: Desks, ear: Ear, clip: bytes) -> None:
    async with fake() as house:
        await heard_in(house, job(language="de"), clip)
    assert [task.language for batch in ear.batches for task in batch] == ["de"] * WINDOWS


async def test_windows_come_back_in_order_whoever_is_done_first(fake: Desks, ear: Ear, clip: bytes) -> None:
    again: set[int] = set()

    def answer(task: Task) -> Answer:
        # The first window with another one behind it is tried again, which takes longer.
        if task.window.number == 1 and task.window.number not in again:
            again.add(task.window.number)
            return Rung(0.2, full=True)
        return heard(task)

    ear.answers = answer
    async with fake(lanes=2) as house:
        segments, _ = await heard_in(house, job(language="en"), clip)
    assert text(segments) == ALL and again == {1}
    assert [one.id for one in segments] == [0, 1, 2]


async def test_each_segment_comes_as_soon_as_it_is_known(fake: Desks, ear: Ear, long: bytes) -> None:
    async with fake() as house:
        with upload(long) as file:
            async with house.desk.open(job(), file) as recording:
                async with aclosing(house.desk.transcribe(job(), recording, file)) as pieces:
                    first = await anext(pieces)
                    assert isinstance(first, Segment) and first.text == " window 0"
                    # Nobody asks for more while another one is read to its end: what is ahead is bounded.
                    assert len((await heard_in(house, job("b"), long))[0]) == 24
                    assert len([id for id, _ in ear.seen if id == "a"]) <= house.desk._ahead + 3
                    rest = [piece async for piece in pieces]
    assert len(rest) == 24


async def test_a_window_in_which_nobody_speaks_is_progress(fake: Desks, ear: Ear, clip: bytes) -> None:
    ear.answers = lambda task: heard(task) if task.window.number == 1 else Heard(segments=(), language="en")
    async with fake() as house:
        reader = client(house, job(), clip)
        await reader.task
    first, said, last, transcript = reader.got
    assert isinstance(first, Progress) and isinstance(last, Progress) and isinstance(transcript, Transcript)
    assert isinstance(said, Segment) and 0 < first.seconds < said.end < last.seconds <= transcript.duration


async def test_a_model_stays_until_the_recording_ends(
    decoders: Decoders, ear: Ear, clip: bytes, tmp_path: Path
) -> None:
    """There is memory for one. The other is waited for, and no lane stands still for that."""
    models = {name: tmp_path / name for name in ("m", "n")}
    for folder in models.values():
        folder.mkdir()
        write_tokens(folder, "en")
    transcriber = Transcriber(Options(listen=Address(path=str(tmp_path)), models=models, memory=1))
    loaded = transcriber._models._held
    ear.answers = lambda task: heard(task) if loaded.keys() == {task.job.model} else RuntimeError()
    ear.open.clear()
    async with house(decoders, transcriber) as built:
        first = client(built, job("a"), clip)
        await until(lambda: ear.batches)
        other, left = (client(built, job(name, model="n"), clip) for name in "bc")
        await until(lambda: len(transcriber._models._line) == 2)
        await left.leave()
        ear.open.set()
        await first.task
        await other.task
    assert len(first.got) == len(other.got) == WINDOWS + 1
    assert not any(held.users for held in loaded.values())


def submitted(house: House, ear: Ear) -> int:
    """Windows that wait, and those that lanes have taken, in however large batches."""
    return len(house.lanes._schedule) + sum(map(len, ear.batches))


async def test_what_is_decoded_ahead_of_busy_lanes_is_bounded(fake: Desks, ear: Ear, long: bytes) -> None:
    ear.open.clear()
    async with fake() as house:
        reader = client(house, job(language="en"), long)
        await until(lambda: submitted(house, ear) >= house.desk._ahead)
        [child] = house.children()
        # It has sound for two minutes, nobody takes it, and so it stands still.
        await until(lambda: child.status() in ("sleeping", "idle"))
        assert len(house.lanes._schedule) <= house.desk._ahead + 2
        ear.open.set()
        await reader.task
    assert len(reader.got) == 24 + 1


async def test_what_is_expected_grows_with_the_recording_and_the_line(
    fake: Desks, ear: Ear, clip: bytes, long: bytes
) -> None:
    ear.open.clear()
    async with fake() as house:
        expected = []
        for data in (clip, long):
            with upload(data) as file:
                async with house.desk.open(job("x"), file) as recording:
                    expected.append(recording.expected)
                    assert recording.seconds == pytest.approx(12.7 if data is clip else 110, abs=0.1)
        reader = client(house, job(), long)
        await until(lambda: ear.batches)
        with upload(clip) as file:
            async with house.desk.open(job("x"), file) as recording:
                expected.append(recording.expected)
        assert 0 < expected[0] < expected[1] and expected[0] < expected[2]
        ear.open.set()
        await reader.leave()


# What is refused.


async def test_what_cannot_be_transcribed_is_refused_when_it_is_opened(
    fake: Desks, ear: Ear, clip: bytes
) -> None:
    refused: list[tuple[Job, bytes, type[AntiphonError]]] = [
        (job(model="other"), clip, InvalidRequest),
        (job(language="xx"), clip, InvalidRequest),
        (job(), b"no sound", InvalidAudio),
        (job(), sounds.encode(sounds.tone(0.05)), InvalidAudio),
        (job(), sounds.encode(sounds.tone(31)), TooLarge),
    ]
    async with fake(seconds=30) as house:
        for asked, data, kind in refused:
            with upload(data) as file, pytest.raises(kind):
                async with house.desk.open(asked, file):
                    pass
            assert not house.desk._open
        assert (await heard_in(house, job(), clip))[1].duration > 10
    assert {one for one, _ in ear.seen} == {"a"}


async def test_beyond_the_slots_there_is_no_place(fake: Desks, clip: bytes) -> None:
    async with fake(slots=1) as house:
        with upload(clip) as file:
            opened = [house.desk.open(job(str(n)), file) for n in range(1 + EXTRA)]
            for one in opened:
                await one.__aenter__()
            with pytest.raises(Unavailable) as refused:
                await house.desk.open(job("late"), file).__aenter__()
            assert refused.value.retry_after is not None and refused.value.retry_after >= 1
            await opened.pop().__aexit__(None, None, None)
            async with house.desk.open(job("late"), file):
                pass
            for one in opened:
                await one.__aexit__(None, None, None)


async def test_a_recording_is_started_once_it_is_held(
    fake: Desks, clip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with fake() as house:
        with upload(clip) as file:
            async with house.desk.open(job(), file) as recording:
                waiting = asyncio.create_task(recording.started())
                await asyncio.sleep(0)
                assert not waiting.done()
                house.desk.start(recording.id)
                await waiting
                house.desk.start(recording.id)
            with pytest.raises(NotFound):
                house.desk.start(recording.id)
            monkeypatch.setattr(speech_recording, "HOLD_SECONDS", 0.02)
            async with house.desk.open(job(), file) as recording:
                with pytest.raises(RequestTimeout):
                    await recording.started()


# What goes wrong.

SECRET = "what was said"


def failing(number: int, problem: Exception, times: int = 100, job: str = "a") -> Callable[[Task], Answer]:
    """What an ear answers that raises so often for one window of a recording."""
    left = [times]

    def answer(task: Task) -> Answer:
        if (task.job.id, task.window.number) == (job, number) and left[0]:
            left[0] -= 1
            return problem
        return heard(task)

    return answer


async def test_a_lane_that_raises_ends_one_recording_after_what_was_known(
    fake: Desks, ear: Ear, clip: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    ear.answers = failing(1, RuntimeError(SECRET))
    async with fake() as house:
        first, second = client(house, job("a"), clip), client(house, job("b"), clip)
        with pytest.raises(EngineFailed):
            await first.task
        assert [one.text for one in first.got if isinstance(one, Segment)] == [" window 0"]
        await second.task
        assert text([one for one in second.got if isinstance(one, Segment)]) == ALL
        # The lane takes the next one.
        assert text((await heard_in(house, job("c"), clip))[0]) == ALL
    assert SECRET not in caplog.text and "RuntimeError" in caplog.text


def stand_still_until(condition: Callable[[], object]) -> None:
    """As `until`, while the event loop waits."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


async def test_windows_that_fail_behind_the_first_one_are_no_surprise(
    fake: Desks, ear: Ear, clip: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    ear.answers = lambda task: EngineFailed("The speech engine cannot load this model.")
    ear.open.clear()
    with caplog.at_level(logging.ERROR):
        async with fake(lanes=2) as house:
            reader = client(house, job(language="en"), clip)
            await until(lambda: len(ear.batches) == 2)
            ear.open.set()
            stand_still_until(house.idle)  # All of them have failed before anybody can look.
            with pytest.raises(EngineFailed):
                await reader.task
            del reader
        ear.batches.clear()
        gc.collect()
    assert caplog.records == []


async def test_a_batch_that_fails_once_is_not_noticed(fake: Desks, ear: Ear, clip: bytes) -> None:
    ear.answers = failing(1, RuntimeError(SECRET), times=1)
    ear.open.clear()
    async with fake() as house:
        readers = [client(house, job(id, language="en"), clip) for id in ("a", "b")]

        # All that are not in the first batch wait while it runs, and are one then.
        def others() -> int:
            return 2 * WINDOWS - len(ear.batches[0])

        await until(lambda: ear.batches and len(house.lanes._schedule) == others())
        ear.open.set()
        await asyncio.gather(*(reader.task for reader in readers))
    assert any(len(batch) > 1 for batch in ear.batches)
    for reader in readers:
        assert text([one for one in reader.got if isinstance(one, Segment)]) == ALL


async def test_a_bug_of_ours_is_told_without_its_inside(
    fake: Desks, ear: Ear, clip: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        def __init__(self, options: object) -> None:
            raise ValueError(SECRET)

    async with fake() as house:
        with monkeypatch.context() as patch, pytest.raises(InternalError):
            patch.setattr(speech_desk, "Cutter", Broken)
            await heard_in(house, job(), clip)
        assert SECRET not in caplog.text and "ValueError" in caplog.text
        assert text((await heard_in(house, job("b"), clip))[0]) == ALL


async def test_a_recording_that_turns_out_to_be_a_lie_fails_and_the_other_one_does_not(
    fake: Desks, ear: Ear, parts: list[sounds.Samples], clip: bytes
) -> None:
    honest = sounds.encode(spaced(*[parts[0]] * 12), "mp4")
    liar = _mp4_count(b"stts", 12, len(spaced(parts[0], parts[0])) // 1024)(honest)
    async with fake() as house:
        first, second = client(house, job("a"), liar), client(house, job("b"), clip)
        with pytest.raises(InvalidAudio) as refused:
            await first.task
        assert refused.value.message == WRONG_LENGTH
        assert 1 <= len(first.got) <= 3 and all(isinstance(one, Segment) for one in first.got)
        await second.task
        assert text([one for one in second.got if isinstance(one, Segment)]) == ALL


async def test_a_decoder_that_dies_midway_ends_one_recording(
    fake: Desks, ear: Ear, clip: bytes, long: bytes
) -> None:
    ear.open.clear()
    async with fake() as house:
        first = client(house, job("a", language="en"), long)
        await until(lambda: submitted(house, ear) >= house.desk._ahead)
        [child] = house.children()
        child.kill()
        ear.open.set()
        with pytest.raises(EngineFailed):
            await first.task
        assert house.desk._ahead <= len(first.got) < 24
        assert text((await heard_in(house, job("b"), clip))[0]) == ALL


async def test_hours_of_silence_of_one_organization_do_not_hold_up_another(
    fake: Desks, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut, running, go = list[str](), list[str](), threading.Semaphore(0)

    class Slow(speech_desk.Cutter):
        """Takes a piece when it is allowed to; the sound tells whose it is."""

        def feed(self, samples: sounds.Samples) -> list[Window]:
            name = "loud" if samples[0] else "quiet"
            cut.append(name)
            running.append(name)
            assert go.acquire(timeout=SECONDS)
            running.remove(name)
            return []

    monkeypatch.setattr(speech_desk, "Cutter", Slow)
    loud = sounds.encode(np.full(100 * 16_000, 1, np.int16), "flac")
    async with fake(slots=16) as house:
        line = house.desk._turns._lines
        readers = [client(house, job(f"{n}", organization="loud"), loud) for n in range(8)]
        await until(lambda: len(running) == 2 and len(line.get("loud", ())) == 6)
        readers.append(client(house, job("quiet"), sounds.encode(sounds.silence(8))))
        steps = 0
        while cut.count("quiet") < 8:
            await until(lambda: "ours" in line or "quiet" in running)
            before = len(cut)
            go.release()
            await until(lambda before=before: len(cut) > before)
            steps += 1
        # Every other turn or so; in one line with the others it would be every ninth.
        assert steps <= 8 * 4
        go.release(10_000)
        for reader in readers:
            await reader.leave()


async def test_the_desk_is_healthy_as_long_as_its_lanes_move(fake: Desks, ear: Ear, clip: bytes) -> None:
    ear.open.clear()
    async with fake() as house:
        house.desk.check(time.monotonic() + 10 * STUCK_SECONDS)
        reader = client(house, job(), clip)
        await until(lambda: ear.batches)
        house.desk.check(time.monotonic())
        with pytest.raises(EngineFailed):
            house.desk.check(time.monotonic() + STUCK_SECONDS + 1)
        ear.open.set()
        await reader.task
        house.desk.check(time.monotonic() + 10 * STUCK_SECONDS)


# Who leaves. `house` looks at the end whether anything is left of them.


async def test_a_client_that_leaves_while_its_recording_is_looked_at(
    fake: Desks, clip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with fake() as house:
        with monkeypatch.context() as patch:
            reached = silent_decoding(patch)
            reader = client(house, job(), clip)
            await until(reached.is_set)
            await reader.leave()
        await house.left_nothing()
        assert text((await heard_in(house, job("b"), clip))[0]) == ALL


async def test_a_client_that_leaves_while_a_batch_runs(
    fake: Desks, ear: Ear, clip: bytes, long: bytes
) -> None:
    ear.open.clear()
    async with fake() as house:
        reader = client(house, job(language="en"), long)
        await until(lambda: submitted(house, ear) >= house.desk._ahead)
        await reader.leave()
        # Only the batch that cannot be stopped is left.
        assert not house.children() or await _gone(house)
        assert len(house.lanes._schedule) == 0 and len(ear.batches) == 1
        ear.open.set()
        await house.left_nothing()
        assert len(ear.batches) == 1
        assert text((await heard_in(house, job("b"), clip))[0]) == ALL
    assert reader.got == []


async def _gone(house: House) -> bool:
    await until(lambda: not house.children())
    return True


async def test_a_client_that_leaves_while_it_is_queued(fake: Desks, ear: Ear, clip: bytes) -> None:
    ear.open.clear()
    async with fake() as house:
        first = client(house, job("a", organization="theirs"), clip)
        await until(lambda: ear.batches)
        second = client(house, job("b"), clip)
        await until(lambda: len(house.lanes._schedule) > 0)
        await second.leave()
        assert len(house.lanes._schedule) == 0
        ear.open.set()
        await first.task
        assert text([one for one in first.got if isinstance(one, Segment)]) == ALL
    assert {id for id, _ in ear.seen} == {"a"} and second.got == []


async def test_a_client_that_stops_reading_in_the_middle(fake: Desks, ear: Ear, long: bytes) -> None:
    async def first_piece(
        pieces: AsyncGenerator[Segment | Progress | Transcript, None],
    ) -> Segment | Progress | Transcript:
        async with aclosing(pieces):
            return await anext(pieces)

    async with fake() as house:
        with upload(long) as file:
            async with house.desk.open(job(), file) as recording:
                await first_piece(house.desk.transcribe(job(), recording, file))
                assert not house.children() or await _gone(house)
                seen = len(ear.seen)
            await house.left_nothing()
    assert len(ear.seen) <= seen + 1 < 24

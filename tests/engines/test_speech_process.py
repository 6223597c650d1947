"""The speech engine as the platform uses it: a real process, a real model, the client of it."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from subprocess import Popen

import pytest

import sounds
from addresses import unix
from antiphon.engines.base import SpeechEngine
from antiphon.engines.speech import ENGINE
from antiphon.errors import (
    AntiphonError,
    AudioTooShort,
    EngineFailed,
    InvalidAudio,
    InvalidRequest,
    TooLarge,
    Unavailable,
)
from antiphon.runtime.local import environment
from antiphon.settings import Settings
from antiphon.values import Deployment, Segment, SpeechJob, Transcript

SETTINGS = Settings(threads=2, audio_seconds=120)


@pytest.fixture(scope="module")
def deployment(whisper_base: Path) -> Deployment:
    return Deployment(snapshot="whisper-base", task="speech", engine="speech", model=whisper_base, slots=1)


@pytest.fixture(scope="module")
def socket(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("speech") / "engine.sock"
    home = tmp_path_factory.mktemp("home")
    process = Popen(ENGINE.command([deployment], SETTINGS, unix(path)), env=environment(home))
    try:
        asyncio.run(_ready(deployment, path, process))
        yield path
    finally:
        process.terminate()
        assert process.wait(20) == 0


async def _ready(deployment: Deployment, path: Path, process: Popen[bytes]) -> None:
    engine = ENGINE.connect([deployment], SETTINGS, unix(path))
    try:
        for _ in range(600):
            assert process.poll() is None, "the engine ended"
            try:
                return await engine.probe()
            except EngineFailed:
                await asyncio.sleep(0.1)
        raise AssertionError("the engine did not become ready")
    finally:
        await engine.close()


@pytest.fixture
async def engine(deployment: Deployment, socket: Path) -> AsyncIterator[SpeechEngine]:
    engine = ENGINE.connect([deployment], SETTINGS, unix(socket))
    yield engine  # type: ignore[misc]
    await engine.close()


def job(file: Path, **asked: object) -> SpeechJob:
    return SpeechJob(id="job", organization="org", model="whisper-base", file=file, **asked)  # type: ignore[arg-type]


async def pieces_of(engine: SpeechEngine, asked: SpeechJob) -> list[Segment | Transcript]:
    async with engine.open(asked) as recording:
        return [piece async for piece in recording.transcribe()]


async def heard(engine: SpeechEngine, asked: SpeechJob) -> tuple[str, Transcript]:
    *segments, transcript = await pieces_of(engine, asked)
    assert isinstance(transcript, Transcript)
    assert all(type(segment) is Segment for segment in segments)
    return "".join(segment.text for segment in segments), transcript  # type: ignore[union-attr]


async def test_a_recording_becomes_segments_and_a_transcript(engine: SpeechEngine, recordings: Path) -> None:
    text, transcript = await heard(engine, job(recordings / "en_whisper_jfk.flac"))
    assert "ask what you can do for your country" in text
    assert transcript.language == "en" and transcript.usage.seconds == transcript.duration == 11.0


async def test_what_is_asked_for_reaches_the_model(engine: SpeechEngine, recordings: Path) -> None:
    asked = job(recordings / "fr_cuttledoc_fleurs-fr-004.ogg", task="translate", language="fr", words=True)
    pieces = await pieces_of(engine, asked)
    segments, transcript = [p for p in pieces if isinstance(p, Segment)], pieces[-1]
    assert isinstance(transcript, Transcript) and transcript.language == "fr"
    assert segments and all(segment.words for segment in segments)
    assert " the " in "".join(segment.text for segment in segments).lower()


async def test_silence_is_an_empty_transcript(engine: SpeechEngine, tmp_path: Path) -> None:
    (tmp_path / "silence").write_bytes(sounds.encode(sounds.silence(5), "mp3"))
    text, transcript = await heard(engine, job(tmp_path / "silence"))
    assert text == "" and transcript.duration == pytest.approx(5, abs=0.2)


@pytest.mark.parametrize(
    ("data", "kind", "code"),
    [
        (b"neither sound nor music", InvalidAudio, None),
        (sounds.video(), InvalidAudio, None),
        (sounds.encode(sounds.tone(0.05)), AudioTooShort, "audio_too_short"),
        (sounds.encode(sounds.silence(121), "flac"), TooLarge, "audio_too_long"),
        (sounds.encode(sounds.silence(121), "mp3"), TooLarge, "audio_too_long"),
    ],
)
async def test_what_is_wrong_with_a_recording_is_raised_as_in_the_process(
    engine: SpeechEngine, tmp_path: Path, data: bytes, kind: type[AntiphonError], code: str | None
) -> None:
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(kind) as refusal:
        async with engine.open(job(tmp_path / "file")):
            pytest.fail("it is wrong from the start")
    assert type(refusal.value) is kind
    assert refusal.value.param == ("file" if kind is not AudioTooShort else refusal.value.param)
    assert refusal.value.code == code and refusal.value.message


async def test_an_unknown_language_is_the_requests_fault(engine: SpeechEngine, recordings: Path) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        async with engine.open(job(recordings / "en_whisper_jfk.flac", language="xx")):
            pytest.fail("no model knows it")
    assert refusal.value.param == "language"


async def test_the_length_that_is_billed_is_known_before(engine: SpeechEngine, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(sounds.encode(sounds.silence(2.34), "mp3"))
    async with engine.open(job(tmp_path / "file")) as recording:
        *_, transcript = [piece async for piece in recording.transcribe()]
    assert isinstance(transcript, Transcript) and recording.expected < 60
    assert recording.seconds == pytest.approx(transcript.usage.seconds, abs=0.1)
    assert transcript.usage.seconds == pytest.approx(2.34, abs=0.2)


async def test_the_wait_that_is_predicted_reaches_whoever_finds_no_place(
    engine: SpeechEngine, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(sounds.encode(sounds.silence(1)))
    async with AsyncExitStack() as held:
        with pytest.raises(Unavailable) as refusal:
            for _ in range(20):
                await held.enter_async_context(engine.open(job(tmp_path / "file")))
        assert type(refusal.value) is Unavailable
        assert refusal.value.retry_after is not None and refusal.value.retry_after >= 1


async def test_leaving_early_frees_the_slot(engine: SpeechEngine, recordings: Path, tmp_path: Path) -> None:
    long, short = tmp_path / "long", tmp_path / "short"
    long.write_bytes(sounds.encode(sounds.speech(recordings)))
    short.write_bytes(sounds.encode(sounds.silence(1)))
    # Once between two segments, once before the first.
    async with engine.open(job(long)) as recording, aclosing(recording.transcribe()) as pieces:
        assert isinstance(await anext(pieces), Segment)
    assert await _seconds_to_answer(engine, short) < 4
    task = asyncio.create_task(heard(engine, job(long)))
    await asyncio.wait([task], timeout=0.5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await _seconds_to_answer(engine, short) < 4


async def _seconds_to_answer(engine: SpeechEngine, file: Path) -> float:
    began = time.monotonic()
    await heard(engine, job(file))
    return time.monotonic() - began


async def test_nothing_is_left_by_the_socket(engine: SpeechEngine, socket: Path, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(sounds.encode(sounds.silence(60)))
    await heard(engine, job(tmp_path / "large"))
    assert os.listdir(socket.parent) == [socket.name]


@pytest.mark.fault("the speech engine is killed")
async def test_a_killed_process_is_never_a_finished_transcript(
    deployment: Deployment, recordings: Path, tmp_path: Path
) -> None:
    (tmp_path / "long").write_bytes(sounds.encode(sounds.speech(recordings)))
    path = tmp_path / "engine.sock"
    process = await asyncio.to_thread(Popen, ENGINE.command([deployment], SETTINGS, unix(path)))
    engine = ENGINE.connect([deployment], SETTINGS, unix(path))
    try:
        await _ready(deployment, path, process)
        with pytest.raises(EngineFailed):
            async with engine.open(job(tmp_path / "long")) as recording:  # type: ignore[union-attr]
                async for piece in recording.transcribe():
                    assert isinstance(piece, Segment)
                    process.send_signal(signal.SIGKILL)
        with pytest.raises(EngineFailed):
            await engine.probe()
    finally:
        process.kill()
        process.wait(10)
        await engine.close()

"""The client of the speech process, over a fake of it that fails in every way."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import BodyPartReader, web

from addresses import unix
from antiphon import errors
from antiphon.engines.base import SpeechEngine
from antiphon.engines.speech import ENGINE
from antiphon.errors import AntiphonError, EngineFailed
from antiphon.settings import Settings
from antiphon.values import Progress, Segment, SpeechJob, Transcript, Word
from antiphon.wire.models import EngineError, EngineHealth, ErrorBody
from antiphon.wire.transcript_events import (
    DoneEvent,
    MeasuredUsage,
    OpenedEvent,
    ProgressEvent,
    SegmentEvent,
)

STAGES = ("upload", "answer", "opened", "start", "segment")
"""Where a process may hang: in the body, before the answer, its first event, the start, the next segment."""


def sse(event: Any) -> bytes:
    return b"data: " + msgspec.json.encode(event) + b"\n\n"


OPENED = sse(OpenedEvent(id="rec_1", seconds=2.5, expected=0.7))
SEGMENT = SegmentEvent(
    id=0, seek=0, start=0.5, end=2.0, text=" Hello.", tokens=[7], temperature=0.0, avg_logprob=-0.1,
    compression_ratio=1.0, no_speech_prob=0.0, words=[Word(" Hello.", 0.5, 2.0)],
)  # fmt: skip
DONE = sse(DoneEvent(language="de", duration=2.5, usage=MeasuredUsage(seconds=2.5)))


class FakeProcess:
    """Opens a recording with `opening`, and says `frames` once it was started; `hangs` at a stage, if at all.

    `refusal` is answered instead of a recording; `start` answers the start instead of 204.
    """

    def __init__(self) -> None:
        self.opening = [OPENED]
        self.frames = [sse(SEGMENT), DONE]
        self.refusal: tuple[int, bytes] | None = None
        self.start: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None
        self.health = b""
        self.hangs = ""
        self.cuts = False
        """Whether it breaks the connection after its last frame, rather than to end the answer."""
        self.hanging = asyncio.Event()
        self.resume = asyncio.Event()
        self.forms: list[list[tuple[str, bytes]]] = []
        self.paths: list[str] = []
        self.connections = 0
        self.started = asyncio.Event()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.paths.append(request.path)
        if request.path == "/health":
            return web.Response(body=self.health)
        if request.path.startswith("/v1/audio/recordings/"):
            return await self._start(request)
        self.connections += 1
        try:
            return await self._recording(request)
        finally:
            self.connections -= 1

    async def _start(self, request: web.Request) -> web.StreamResponse:
        await self._stage("start")
        if self.start is not None:
            return await self.start(request)
        if self.started.is_set() or request.path != "/v1/audio/recordings/rec_1/start":
            return web.Response(status=404, body=envelope("invalid_request_error"))
        self.started.set()
        return web.Response(status=204)

    async def _recording(self, request: web.Request) -> web.StreamResponse:
        await self._stage("upload")
        self.forms.append(await parts(request))
        await self._stage("answer")
        if self.refusal is not None:
            return web.Response(status=self.refusal[0], body=self.refusal[1])
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await self._stage("opened")
        await say(response, self.opening)
        if OPENED in self.opening:
            await self.started.wait()
            await self._stage("segment")
            await say(response, self.frames)
        if self.cuts and request.transport is not None:
            request.transport.close()
        return response

    async def _stage(self, stage: str) -> None:
        if stage == self.hangs:
            self.hanging.set()
            await self.resume.wait()


async def say(response: web.StreamResponse, frames: list[bytes]) -> None:
    for frame in frames:
        await response.write(frame)


async def parts(request: web.Request) -> list[tuple[str, bytes]]:
    found = []
    async for part in await request.multipart():
        assert isinstance(part, BodyPartReader) and part.name is not None
        found.append((part.name, bytes(await part.read())))
    return found


def envelope(
    type: str,
    code: str | None = None,
    param: str | None = None,
    message: str = "So it is.",
    retry_after: float | None = None,
) -> bytes:
    body = ErrorBody(message=message, type=type, param=param, code=code)
    return msgspec.json.encode(EngineError(body, retry_after=retry_after))


@asynccontextmanager
async def running(process: FakeProcess) -> AsyncIterator[SpeechEngine]:
    app = web.Application(client_max_size=16 << 20)
    app.router.add_route("*", "/{any:.*}", process.answer)
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    with tempfile.TemporaryDirectory() as folder:
        socket = Path(folder) / "s.sock"
        await web.UnixSite(runner, str(socket)).start()
        engine = ENGINE.connect([], Settings(), unix(socket))
        try:
            yield engine  # type: ignore[misc]
        finally:
            await engine.close()
            await runner.cleanup()


@pytest.fixture
async def process() -> FakeProcess:
    return FakeProcess()


@pytest.fixture
async def engine(process: FakeProcess) -> AsyncIterator[SpeechEngine]:
    async with running(process) as engine:
        yield engine


@pytest.fixture
def job(tmp_path: Path) -> SpeechJob:
    (tmp_path / "file").write_bytes(b"sound")
    return SpeechJob(id="req_1", organization="org_1", model="whisper-base", file=tmp_path / "file")


async def heard(engine: SpeechEngine, job: SpeechJob) -> list[Segment | Progress | Transcript]:
    async with engine.open(job) as recording:
        return [piece async for piece in recording.transcribe()]


async def let_go(process: FakeProcess) -> None:
    """Return when no connection to the process is left."""
    async with asyncio.timeout(5):
        while process.connections:
            await asyncio.sleep(0.005)


async def test_a_recording_is_opened_and_then_transcribed(
    process: FakeProcess, engine: SpeechEngine, job: SpeechJob
) -> None:
    async with engine.open(job) as recording:
        assert (recording.seconds, recording.expected) == (2.5, 0.7)
        assert process.paths == ["/v1/audio/transcriptions"], "nothing is transcribed unless asked for"
        pieces = [piece async for piece in recording.transcribe()]
    assert process.paths[1:] == ["/v1/audio/recordings/rec_1/start"]
    segment, transcript = pieces
    assert type(segment) is Segment and segment == msgspec.convert(SEGMENT, Segment, from_attributes=True)
    assert isinstance(transcript, Transcript)
    assert (transcript.language, transcript.duration, transcript.usage.seconds) == ("de", 2.5, 2.5)


async def test_sound_without_speech_is_progress(
    process: FakeProcess, engine: SpeechEngine, job: SpeechJob
) -> None:
    process.frames = [sse(ProgressEvent(seconds=1.5)), DONE]
    progress, transcript = await heard(engine, job)
    assert progress == Progress(seconds=1.5) and isinstance(transcript, Transcript)


async def test_what_is_asked_for_is_sent(process: FakeProcess, engine: SpeechEngine, job: SpeechJob) -> None:
    await heard(engine, job)
    asked = {"task": "translate", "language": "fr", "prompt": "Grüße", "temperature": 0.5, "words": True}
    process.started.clear()
    await heard(engine, msgspec.structs.replace(job, **asked))
    assert process.forms[0] == [
        ("model", b"whisper-base"),
        ("organization", b"org_1"),
        ("hold", b"true"),
        ("temperature", b"0.0"),
        ("file", b"sound"),
    ]
    assert dict(process.forms[1]) == {
        "model": b"whisper-base",
        "organization": b"org_1",
        "hold": b"true",
        "temperature": b"0.5",
        "language": b"fr",
        "prompt": "Grüße".encode(),
        "timestamp_granularities[]": b"word",
        "file": b"sound",
    }
    assert process.paths[2] == "/v1/audio/translations"


REFUSALS = [
    (("invalid_request_error", None, "file"), errors.InvalidAudio),
    (("invalid_request_error", "audio_too_short", "file"), errors.AudioTooShort),
    (("invalid_request_error", None, "language"), errors.InvalidRequest),
    (("server_error", "audio_too_long", "file"), errors.TooLarge),
    (("overloaded_error", "server_is_overloaded", None), errors.Unavailable),
    (("server_error", "storage_full", None), errors.StorageFull),
]


@pytest.mark.parametrize("midway", [False, True])
@pytest.mark.parametrize(("said", "kind"), REFUSALS)
async def test_what_is_wrong_with_a_recording_is_raised_as_in_the_process(
    process: FakeProcess,
    engine: SpeechEngine,
    job: SpeechJob,
    said: tuple[str, str | None, str | None],
    kind: type[AntiphonError],
    midway: bool,
) -> None:
    body = envelope(*said)
    if midway:
        process.frames = [sse(SEGMENT), b"data: " + body + b"\n\n"]
    else:
        process.refusal = (kind.status, body)
    with pytest.raises(kind) as refusal:
        await heard(engine, job)
    found = refusal.value
    assert type(found) is kind
    assert (found.message, found.type, found.code, found.param) == ("So it is.", *said)
    await let_go(process)


@pytest.mark.parametrize(
    "answer",
    [
        (500, envelope("server_error", "internal_error", message="At /home/me")),
        (502, b"<p>At /home/me"),
        (204, b""),
    ],
)
async def test_what_is_not_the_requests_fault_is_the_engines(
    process: FakeProcess, engine: SpeechEngine, job: SpeechJob, answer: tuple[int, bytes]
) -> None:
    process.refusal = answer
    with pytest.raises(EngineFailed) as failure:
        await heard(engine, job)
    assert "/home" not in failure.value.message and failure.value.retry_after


async def test_a_probe_tells_which_models_cannot_be_used(process: FakeProcess, engine: SpeechEngine) -> None:
    process.health = msgspec.json.encode(EngineHealth(unusable=["broken"]))
    assert await engine.probe() == ["broken"]
    process.health = b"<p>fine</p>"
    with pytest.raises(EngineFailed):
        await engine.probe()


@pytest.mark.parametrize("midway", [False, True])
@pytest.mark.parametrize(
    ("code", "kind"), [("server_is_overloaded", errors.Unavailable), ("engine_failed", EngineFailed)]
)
@pytest.mark.parametrize(("told", "carried"), [(37.5, 37.5), (None, None)])
async def test_the_wait_that_the_process_predicts_is_carried(
    process: FakeProcess,
    engine: SpeechEngine,
    job: SpeechJob,
    code: str,
    kind: type[AntiphonError],
    told: float | None,
    carried: float | None,
    midway: bool,
) -> None:
    body = envelope("server_error", code, retry_after=told)
    if midway:
        process.frames = [b"data: " + body + b"\n\n"]
    else:
        process.refusal = (kind.status, body)
    with pytest.raises(kind) as refusal:
        await heard(engine, job)
    # A failure is worth another try in any case.
    assert refusal.value.retry_after == (1 if kind is EngineFailed and carried is None else carried)
    await let_go(process)


BROKEN = {
    "nothing": [],
    "half an event": [OPENED.rstrip()],
    "no JSON": [b"data: {]\n\n"],
    "another event first": [DONE],
    "an unknown event": [b'data: {"type":"transcript.opened.wide"}\n\n'],
    "no length": [b'data: {"type":"transcript.opened","id":"rec_1","expected":1}\n\n'],
    "a length below zero": [b'data: {"type":"transcript.opened","id":"r","seconds":-1,"expected":1}\n\n'],
    "an id that is a path": [
        b'data: {"type":"transcript.opened","id":"../../health","seconds":1,"expected":1}\n\n'
    ],
    "an error of its own": [b"data: " + envelope("server_error", message="At /home/me") + b"\n\n"],
}


@pytest.mark.parametrize("opening", BROKEN.values(), ids=BROKEN.keys())
async def test_a_recording_that_is_not_opened_is_a_failure(
    process: FakeProcess, engine: SpeechEngine, job: SpeechJob, opening: list[bytes]
) -> None:
    process.opening = opening
    with pytest.raises(EngineFailed) as failure:
        async with engine.open(job):
            pytest.fail("it is not open")
    assert "/home" not in failure.value.message and failure.value.retry_after
    await let_go(process)


UNWHOLE = {
    "nothing": [],
    "no end": [sse(SEGMENT)],
    "half an event": [sse(SEGMENT), DONE.rstrip()],
    "no JSON": [sse(SEGMENT), b"data: \xff\n\n"],
    "half a segment": [b'data: {"type":"transcript.text.segment","id":0}\n\n'],
    "opened again": [sse(SEGMENT), OPENED],
    "an error of its own": [b"data: " + envelope("server_error", message="At /home/me") + b"\n\n"],
    "an error without a shape": [b'data: {"error":"At /home/me"}\n\n'],
}


@pytest.mark.parametrize("cuts", [False, True])
@pytest.mark.parametrize("frames", UNWHOLE.values(), ids=UNWHOLE.keys())
async def test_a_transcript_that_is_not_whole_is_a_failure(
    process: FakeProcess, engine: SpeechEngine, job: SpeechJob, frames: list[bytes], cuts: bool
) -> None:
    process.frames, process.cuts = frames, cuts
    with pytest.raises(EngineFailed) as failure:
        await heard(engine, job)
    assert "/home" not in failure.value.message and failure.value.retry_after
    await let_go(process)


async def _closes(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.close()
    return web.Response()


async def _unknown(request: web.Request) -> web.StreamResponse:
    return web.Response(status=404, body=envelope("invalid_request_error"))


async def _fine(request: web.Request) -> web.StreamResponse:
    return web.Response(status=200)


@pytest.mark.parametrize("start", [_closes, _unknown, _fine])
async def test_a_start_that_is_refused_is_a_failure(
    process: FakeProcess, engine: SpeechEngine, job: SpeechJob, start: Any
) -> None:
    process.start = start
    with pytest.raises(EngineFailed):
        await heard(engine, job)
    await let_go(process)


async def test_a_recording_is_transcribed_once(
    process: FakeProcess, engine: SpeechEngine, job: SpeechJob
) -> None:
    async with engine.open(job) as recording:
        assert len([piece async for piece in recording.transcribe()]) == 2
        with pytest.raises(EngineFailed):
            await anext(recording.transcribe())


async def test_a_process_that_goes_away_while_a_recording_is_held(job: SpeechJob) -> None:
    process = FakeProcess()
    async with running(process) as engine, engine.open(job) as recording:
        await engine.close()
        with pytest.raises(EngineFailed):
            await anext(recording.transcribe())


async def test_leaving_lets_go_of_the_recording(
    process: FakeProcess, engine: SpeechEngine, job: SpeechJob
) -> None:
    async with engine.open(job):
        assert process.connections == 1
    await let_go(process)
    assert len(process.paths) == 1


async def test_what_fails_while_a_recording_is_open_is_not_the_engines_failure(
    process: FakeProcess, engine: SpeechEngine, job: SpeechJob
) -> None:
    with pytest.raises(ConnectionResetError):
        async with engine.open(job):
            raise ConnectionResetError("of something else")
    await let_go(process)


@pytest.mark.parametrize("stage", STAGES)
async def test_whoever_does_not_wait_lets_go_at_any_stage(
    process: FakeProcess, engine: SpeechEngine, job: SpeechJob, stage: str
) -> None:
    process.hangs = stage
    job.file.write_bytes(bytes(4 << 20))  # more than any buffer takes: the upload hangs as well
    task = asyncio.create_task(heard(engine, job))
    async with asyncio.timeout(5):
        await process.hanging.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    if stage == "upload":
        process.resume.set()  # the end of a connection is seen by who reads from it
    await let_go(process)


async def test_whoever_does_not_wait_lets_go_at_any_moment(
    process: FakeProcess, engine: SpeechEngine, job: SpeechJob
) -> None:
    moments = 0
    while True:
        process.started.clear()
        task = asyncio.create_task(heard(engine, job))
        for _ in range(moments):
            await asyncio.sleep(0)
        if task.done():
            break
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await let_go(process)
        moments += 1
    assert len(await task) == 2 and moments > 10


async def test_a_file_that_is_gone_sends_nothing(
    process: FakeProcess, engine: SpeechEngine, job: SpeechJob
) -> None:
    job.file.unlink()
    with pytest.raises(FileNotFoundError):
        await heard(engine, job)
    assert process.paths == []

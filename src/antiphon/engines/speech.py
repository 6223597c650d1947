"""Whisper on CTranslate2, in a process of our own: `antiphon.workers.speech`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path
from typing import BinaryIO

import aiohttp
import msgspec

from antiphon.address import Address
from antiphon.engines.base import EngineKind
from antiphon.engines.upstream import Upstream, events
from antiphon.errors import (
    AntiphonError,
    AudioTooShort,
    EngineFailed,
    InvalidAudio,
    InvalidRequest,
    StorageFull,
    TooLarge,
    Unavailable,
)
from antiphon.settings import Settings
from antiphon.values import Deployment, Progress, Segment, SpeechJob, Transcript, Usage
from antiphon.wire.models import EngineError, EngineHealth, ErrorBody
from antiphon.wire.transcript_events import (
    DoneEvent,
    OpenedEvent,
    ProgressEvent,
    SegmentEvent,
    TranscriptEvent,
)

_PATHS = {"transcribe": "/v1/audio/transcriptions", "translate": "/v1/audio/translations"}
_START = "/v1/audio/recordings/{id}/start"
_MAX_ERROR = 65_536
_KINDS: dict[str | None, type[AntiphonError]] = {
    "audio_too_long": TooLarge,
    "audio_too_short": AudioTooShort,
    "storage_full": StorageFull,
    "server_is_overloaded": Unavailable,
}


class SpeechEngine:
    """The client of one speech process. Deadlines are the caller's."""

    def __init__(self, address: Address) -> None:
        self._upstream = Upstream(address)

    async def probe(self) -> Collection[str]:
        answer = await self._upstream.get("/health")
        try:
            return msgspec.json.decode(answer, type=EngineHealth).unusable
        except msgspec.DecodeError:
            raise _unreadable() from None

    async def close(self) -> None:
        await self._upstream.close()

    @asynccontextmanager
    async def open(self, job: SpeechJob) -> AsyncIterator[Recording]:
        """See `SpeechEngine.open` in `base`; the upload is streamed from its file.

        Raises what the process found wrong with the recording as it was raised there, else `EngineFailed`.
        """
        async with AsyncExitStack() as stack:
            response = await stack.enter_async_context(self._sent(job))
            frames = await stack.enter_async_context(aclosing(events(response.content.iter_any())))
            opened = _event(await _next(frames))
            if not isinstance(opened, OpenedEvent):
                raise _unreadable()
            connection = stack.pop_all()
        try:
            yield Recording(self._upstream, opened, frames)
        finally:
            # How the block ended is not told to the connection: what failed there need not be the engine.
            await connection.aclose()

    @asynccontextmanager
    async def _sent(self, job: SpeechJob) -> AsyncIterator[aiohttp.ClientResponse]:
        """The 200 answer to a recording; any other is raised."""
        async with (
            _reading(job.file) as file,
            self._upstream.request("POST", _PATHS[job.task], data=_form(job, file)) as response,
        ):
            if response.status != 200:
                raise _error(await response.content.read(_MAX_ERROR))
            yield response


class Recording:
    """A recording that the process holds at the other end of a connection."""

    def __init__(self, upstream: Upstream, opened: OpenedEvent, frames: AsyncGenerator[bytes, None]) -> None:
        self.seconds = opened.seconds
        self.expected = opened.expected
        self._start_path = _START.format(id=opened.id)
        self._upstream = upstream
        self._frames = frames

    async def transcribe(self) -> AsyncGenerator[Segment | Progress | Transcript, None]:
        """See `OpenRecording.transcribe` in `base`. A second time raises `EngineFailed`."""
        await self._start()
        while True:
            result = _result(_event(await _next(self._frames)))
            yield result
            if isinstance(result, Transcript):
                return

    async def _start(self) -> None:
        async with self._upstream.request("POST", self._start_path) as response:
            if response.status != 204:
                raise EngineFailed("The speech engine did not go on with the recording.", retry_after=1)


@asynccontextmanager
async def _reading(path: Path) -> AsyncIterator[BinaryIO]:
    """The file, open; closed even if nobody waits for it any more."""
    opening = asyncio.ensure_future(asyncio.to_thread(path.open, "rb"))
    try:
        yield await asyncio.shield(opening)
    finally:
        await asyncio.to_thread((await opening).close)


def _form(job: SpeechJob, file: BinaryIO) -> aiohttp.FormData:
    form = aiohttp.FormData()
    form.add_field("model", job.model)
    form.add_field("organization", job.organization)
    form.add_field("hold", "true")
    form.add_field("temperature", repr(job.temperature))
    if job.language:
        form.add_field("language", job.language)
    if job.prompt:
        form.add_field("prompt", job.prompt)
    if job.words:
        form.add_field("timestamp_granularities[]", "word")
    # The process tells a container by its content, so no name of the client's goes further.
    form.add_field("file", file, filename="recording", content_type="application/octet-stream")
    return form


async def _next(frames: AsyncGenerator[bytes, None]) -> bytes:
    try:
        return await anext(frames)
    except StopAsyncIteration:
        raise EngineFailed("The speech engine broke off.", retry_after=1) from None
    except (aiohttp.ClientError, ConnectionError) as problem:
        raise EngineFailed("The speech engine broke off.", retry_after=1) from problem


def _event(frame: bytes) -> TranscriptEvent:
    """What a frame says. An error event is raised."""
    if frame.startswith(b'{"error"'):
        raise _error(frame)
    try:
        event: TranscriptEvent = msgspec.json.decode(frame, type=TranscriptEvent)
    except msgspec.DecodeError:
        raise _unreadable() from None
    return event


def _result(event: TranscriptEvent) -> Segment | Progress | Transcript:
    match event:
        case SegmentEvent():
            return msgspec.convert(event, Segment, from_attributes=True)
        case ProgressEvent():
            return Progress(seconds=event.seconds)
        case DoneEvent():
            usage = Usage(seconds=event.usage.seconds)
            return Transcript(language=event.language, duration=event.duration, usage=usage)
        case OpenedEvent():
            raise _unreadable()


def _unreadable() -> EngineFailed:
    return EngineFailed("The speech engine sent something unreadable.", retry_after=1)


def _error(body: bytes) -> AntiphonError:
    """The error that the process raised; what is not the request's fault becomes `EngineFailed`."""
    try:
        told = msgspec.json.decode(body, type=EngineError)
    except msgspec.DecodeError:
        return _unreadable()
    found, retry_after = told.error, told.retry_after
    kind = _KINDS.get(found.code) or _kind_by_type(found)
    if kind is None:
        return EngineFailed(
            "The speech engine failed.", retry_after=1 if retry_after is None else retry_after
        )
    error = kind.__new__(kind)
    # Not the class's own initializer: that one may write the message itself.
    AntiphonError.__init__(error, found.message, param=found.param, code=found.code, retry_after=retry_after)
    return error


def _kind_by_type(found: ErrorBody) -> type[AntiphonError] | None:
    if found.type != InvalidRequest.type:
        return None
    return InvalidAudio if found.param == "file" else InvalidRequest


def _command(deployments: Sequence[Deployment], settings: Settings, address: Address) -> list[str]:
    return [
        sys.executable, "-m", "antiphon.workers.speech",
        "--listen", str(address),
        *(word for d in deployments for word in ("--model", f"{d.snapshot}={d.model}")),
        "--threads", str(settings.cores),
        # Of several processes, each may have one that nobody counts: see `pools.plan.Unit.slots`.
        "--slots", str(sum(max(d.slots, settings.processes) for d in deployments)),
        "--audio-seconds", str(settings.audio_seconds),
        "--memory", str(settings.speech_memory),
        "--device", settings.speech_device,
        "--precision", settings.speech_precision,
        "--beam", str(settings.speech_beam),
        "--window", str(settings.speech_window),
        "--pad", str(settings.speech_pad),
        "--floor", str(settings.speech_floor),
        "--step", str(settings.speech_step),
        "--batch-seconds", str(settings.speech_batch_seconds),
    ]  # fmt: skip


def _connect(deployments: Sequence[Deployment], settings: Settings, address: Address) -> SpeechEngine:
    return SpeechEngine(address)


ENGINE = EngineKind(
    name="speech",
    task="speech",
    reads=frozenset({"ctranslate2"}),
    shared=True,
    command=_command,
    connect=_connect,
)

"""Whisper on CTranslate2, in a process of our own: `antiphon.workers.speech`."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import BinaryIO

import aiohttp
import msgspec

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
from antiphon.values import Deployment, Segment, SpeechJob, Transcript, Usage
from antiphon.wire.models import ErrorBody, ErrorEnvelope
from antiphon.wire.transcript_events import DoneEvent, MeasuredUsage, SegmentEvent, TranscriptEvent

_PATHS = {"transcribe": "/v1/audio/transcriptions", "translate": "/v1/audio/translations"}
_DURATIONS = "/v1/audio/durations"
_MAX_DURATION = 1024
_MAX_ERROR = 65_536
_KINDS: dict[str | None, type[AntiphonError]] = {
    "audio_too_long": TooLarge,
    "audio_too_short": AudioTooShort,
    "storage_full": StorageFull,
    "server_is_overloaded": Unavailable,
}


class SpeechEngine:
    """The client of one speech process. Deadlines are the caller's."""

    def __init__(self, socket: Path) -> None:
        self._upstream = Upstream(socket)

    async def probe(self) -> None:
        await self._upstream.get("/health")

    async def close(self) -> None:
        await self._upstream.close()

    async def prepare(self, job: SpeechJob) -> float:
        """See `SpeechEngine.prepare` in `base`: the process decodes the recording and keeps nothing of it."""
        async with self._sent(_DURATIONS, job) as response:
            return _duration(await response.content.read(_MAX_DURATION))

    async def transcribe(self, job: SpeechJob) -> AsyncGenerator[Segment | Transcript, None]:
        """See `SpeechEngine.transcribe` in `base`; the upload is streamed from its file.

        Raises what the process found wrong with the recording as it was raised there, else `EngineFailed`.
        """
        async with self._sent(_PATHS[job.task], job) as response, aclosing(events(response)) as frames:
            async for frame in frames:
                result = _result(frame)
                yield result
                if isinstance(result, Transcript):
                    return
        raise EngineFailed("The speech engine broke off.", retry_after=1)

    @asynccontextmanager
    async def _sent(self, path: str, job: SpeechJob) -> AsyncIterator[aiohttp.ClientResponse]:
        """The 200 answer to a recording; any other is raised."""
        file = await asyncio.to_thread(job.file.open, "rb")
        try:
            async with self._upstream.request("POST", path, data=_form(job, file)) as response:
                if response.status != 200:
                    raise _error(await response.content.read(_MAX_ERROR))
                yield response
        finally:
            await asyncio.to_thread(file.close)


def _form(job: SpeechJob, file: BinaryIO) -> aiohttp.FormData:
    form = aiohttp.FormData()
    form.add_field("model", job.model)
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


def _duration(body: bytes) -> float:
    try:
        return msgspec.json.decode(body, type=MeasuredUsage).seconds
    except msgspec.DecodeError:
        raise EngineFailed("The speech engine sent something unreadable.", retry_after=1) from None


def _result(frame: bytes) -> Segment | Transcript:
    if frame.startswith(b'{"error"'):
        raise _error(frame)
    try:
        event: SegmentEvent | DoneEvent = msgspec.json.decode(frame, type=TranscriptEvent)
    except msgspec.DecodeError:
        raise EngineFailed("The speech engine sent something unreadable.", retry_after=1) from None
    if isinstance(event, SegmentEvent):
        return msgspec.convert(event, Segment, from_attributes=True)
    usage = Usage(seconds=event.usage.seconds)
    return Transcript(language=event.language, duration=event.duration, usage=usage)


def _error(body: bytes) -> AntiphonError:
    """The error that the process raised; what is not the request's fault becomes `EngineFailed`."""
    try:
        found = msgspec.json.decode(body, type=ErrorEnvelope).error
    except msgspec.DecodeError:
        return EngineFailed("The speech engine sent something unreadable.", retry_after=1)
    kind = _KINDS.get(found.code) or _kind_by_type(found)
    if kind is None:
        return EngineFailed("The speech engine failed.", retry_after=1)
    error = kind.__new__(kind)
    # Not the class's own initializer: that one may write the message itself.
    AntiphonError.__init__(error, found.message, param=found.param, code=found.code)
    return error


def _kind_by_type(found: ErrorBody) -> type[AntiphonError] | None:
    if found.type != InvalidRequest.type:
        return None
    return InvalidAudio if found.param == "file" else InvalidRequest


def _command(deployment: Deployment, settings: Settings, socket: Path) -> list[str]:
    return [
        sys.executable, "-m", "antiphon.workers.speech",
        "--socket", str(socket),
        "--model", str(deployment.model),
        "--threads", str(settings.threads or os.cpu_count() or 1),
        "--slots", str(deployment.slots),
        "--audio-seconds", str(settings.audio_seconds),
    ]  # fmt: skip


def _connect(deployment: Deployment, settings: Settings, socket: Path) -> SpeechEngine:
    return SpeechEngine(socket)


ENGINE = EngineKind(name="speech", task="speech", command=_command, connect=_connect)

"""Whisper on CTranslate2, in a process of our own: `antiphon.workers.speech`."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
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
from antiphon.wire.transcript_events import DoneEvent, SegmentEvent, TranscriptEvent

_PATHS = {"transcribe": "/v1/audio/transcriptions", "translate": "/v1/audio/translations"}
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

    async def transcribe(self, job: SpeechJob) -> AsyncGenerator[Segment | Transcript, None]:
        """See `SpeechEngine.transcribe` in `base`; the upload is streamed from its file.

        Raises what the process found wrong with the recording as it was raised there, else `EngineFailed`.
        """
        file = await asyncio.to_thread(job.file.open, "rb")
        try:
            async with self._upstream.request("POST", _PATHS[job.task], data=_form(job, file)) as response:
                if response.status != 200:
                    raise _error(await response.content.read(_MAX_ERROR))
                async with aclosing(events(response)) as frames:
                    async for frame in frames:
                        result = _result(frame)
                        yield result
                        if isinstance(result, Transcript):
                            return
        finally:
            await asyncio.to_thread(file.close)
        raise EngineFailed("The speech engine broke off.", retry_after=1)


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

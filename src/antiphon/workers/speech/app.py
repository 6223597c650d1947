"""The speech engine over HTTP: recordings in, server-sent events out."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncGenerator, Collection
from contextlib import AbstractAsyncContextManager, aclosing
from typing import BinaryIO, Protocol

import msgspec
from starlette.applications import Starlette
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from antiphon.errors import InvalidRequest
from antiphon.values import Progress, Segment, SpeechTask, Transcript
from antiphon.wire.transcript_events import (
    DoneEvent,
    MeasuredUsage,
    OpenedEvent,
    ProgressEvent,
    SegmentEvent,
)
from antiphon.workers.serve import Lifespan, application, send_events, while_connected
from antiphon.workers.speech.recording import Recording
from antiphon.workers.speech.values import Job


class Desk(Protocol):
    """Who works at recordings: see `desk.Desk`."""

    def open(self, job: Job, file: BinaryIO) -> AbstractAsyncContextManager[Recording]:
        """A recording, for as long as the block runs."""

    def start(self, id: str) -> None:
        """Let a recording that is held go on. Raises `NotFound`."""

    def transcribe(
        self, job: Job, recording: Recording, file: BinaryIO
    ) -> AsyncGenerator[Segment | Progress | Transcript, None]:
        """Segments in order, last a `Transcript`."""

    def check(self, now: float) -> Collection[str]:
        """The models that cannot be used. Raises `EngineFailed`."""


def create(desk: Desk, lifespan: Lifespan) -> Starlette:
    """The application: both audio routes, the start of a held recording, and `/health`."""

    async def start(request: Request) -> Response:
        desk.start(request.path_params["id"])
        return Response(status_code=204)

    return application(
        [
            Route("/v1/audio/transcriptions", Recordings(desk, "transcribe"), methods=["POST"]),
            Route("/v1/audio/translations", Recordings(desk, "translate"), methods=["POST"]),
            Route("/v1/audio/recordings/{id}/start", start, methods=["POST"]),
        ],
        lambda: desk.check(time.monotonic()),
        lifespan,
    )


class Recordings:
    """The endpoint of one task. An ASGI application, to notice at any time that the client has gone."""

    def __init__(self, desk: Desk, task: SpeechTask) -> None:
        self._desk = desk
        self._task: SpeechTask = task

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with Request(scope, receive).form(max_files=1, max_fields=16) as form:
            given = _fields(form)
            async with while_connected(receive), aclosing(self._events(given, form)) as events:
                await send_events(events, send)

    async def _events(self, given: _Fields, form: FormData) -> AsyncGenerator[msgspec.Struct, None]:
        """The events of one recording, which is worked on for as long as they are asked for."""
        upload = form["file"]
        assert isinstance(upload, UploadFile)
        job = _job(given, self._task, words="word" in form.getlist("timestamp_granularities[]"))
        async with self._desk.open(job, upload.file) as recording:
            yield OpenedEvent(id=recording.id, seconds=recording.seconds, expected=recording.expected)
            if not given.hold:
                recording.start()
            await recording.started()
            async with aclosing(self._heard(job, recording, upload)) as events:
                async for event in events:
                    yield event

    async def _heard(
        self, job: Job, recording: Recording, upload: UploadFile
    ) -> AsyncGenerator[msgspec.Struct, None]:
        async with aclosing(self._desk.transcribe(job, recording, upload.file)) as pieces:
            async for piece in pieces:
                match piece:
                    case Segment():
                        yield msgspec.convert(piece, SegmentEvent, from_attributes=True)
                    case Progress():
                        yield ProgressEvent(seconds=piece.seconds)
                    case Transcript():
                        yield _done(piece)


def _done(transcript: Transcript) -> DoneEvent:
    return DoneEvent(
        language=transcript.language,
        duration=transcript.duration,
        usage=MeasuredUsage(seconds=transcript.usage.seconds),
    )


class _Fields(msgspec.Struct):
    """The form besides its file."""

    model: str
    organization: str = ""
    language: str | None = None
    prompt: str | None = None
    temperature: float = 0.0
    hold: bool = False


def _fields(form: FormData) -> _Fields:
    if not isinstance(form.get("file"), UploadFile):
        raise InvalidRequest("The form has no file.", param="file")
    given = {name: value for name, value in form.items() if value}
    try:
        return msgspec.convert(given, _Fields, strict=False)
    except msgspec.ValidationError:
        raise InvalidRequest("A field of the form is missing, or has a wrong value.") from None


def _job(given: _Fields, task: SpeechTask, *, words: bool) -> Job:
    return Job(
        id=uuid.uuid4().hex,
        organization=given.organization,
        model=given.model,
        task=task,
        language=given.language,
        prompt=given.prompt,
        temperature=given.temperature,
        words=words,
    )

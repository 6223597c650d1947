"""The speech engine over HTTP: recordings in, server-sent events out; or only how long they are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Literal

import msgspec
from starlette.applications import Starlette
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from antiphon.errors import InvalidRequest, Unavailable
from antiphon.values import Segment, Transcript
from antiphon.wire.transcript_events import DoneEvent, MeasuredUsage, SegmentEvent
from antiphon.workers.serve import application, send_events
from antiphon.workers.speech.job import Job
from antiphon.workers.speech.transcribe import Transcriber

Task = Literal["transcribe", "translate"]
WAIT_SECONDS = 30.0
WAITING = 16
"""How long, and how many, requests wait for a slot. The gateway sends no more than there are slots."""


def create(transcriber: Transcriber, slots: int) -> Starlette:
    """The application: both audio routes, the length of a recording, and `/health`."""
    desk = Slots(slots)
    transcriptions = Recordings(transcriber, desk, "transcribe")
    translations = Recordings(transcriber, desk, "translate")
    durations = Durations(transcriber, desk)
    return application(
        [
            Route("/v1/audio/transcriptions", transcriptions, methods=["POST"]),
            Route("/v1/audio/translations", translations, methods=["POST"]),
            Route("/v1/audio/durations", durations, methods=["POST"]),
        ],
        transcriber.check,
    )


class Slots:
    """Threads that transcribe, and a bounded wait for one of them."""

    def __init__(self, count: int) -> None:
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="transcribe")
        self._free = asyncio.Semaphore(count)
        self._waiting = 0

    @asynccontextmanager
    async def enter(self) -> AsyncIterator[ThreadPoolExecutor]:
        """A thread to work in. Raises `Unavailable` when too many wait, or one has waited too long."""
        if self._waiting >= WAITING:
            raise Unavailable("The speech engine is busy.", retry_after=1)
        self._waiting += 1
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._free.acquire()
        except TimeoutError:
            raise Unavailable("The speech engine is busy.", retry_after=1) from None
        finally:
            self._waiting -= 1
        try:
            yield self._threads
        finally:
            self._free.release()


class Recordings:
    """The endpoint of one task. An ASGI application, to notice at any time that the client has gone."""

    def __init__(self, transcriber: Transcriber, slots: Slots, task: Task) -> None:
        self._transcriber = transcriber
        self._slots = slots
        self._task = task

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with _received(scope, receive, self._task) as job, self._slots.enter() as threads:
            results = _in_thread(self._transcriber.transcribe(job), threads)
            await send_events(_events(results), send)


class Durations:
    """The endpoint that answers with the seconds of a recording: a cancelled one ends at its next packet."""

    def __init__(self, transcriber: Transcriber, slots: Slots) -> None:
        self._transcriber = transcriber
        self._slots = slots

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with _received(scope, receive, "transcribe") as job, self._slots.enter() as threads:
            loop = asyncio.get_running_loop()
            seconds = await loop.run_in_executor(threads, self._transcriber.measure, job)
            body = msgspec.json.encode(MeasuredUsage(seconds=seconds))
            await Response(body, media_type="application/json")(scope, receive, send)


@asynccontextmanager
async def _received(scope: Scope, receive: Receive, task: Task) -> AsyncIterator[Job]:
    """The recording of a request, which is cancelled when its client has gone, and when the block ends."""
    async with Request(scope, receive).form(max_files=1, max_fields=16) as form:
        job = _job(form, task)
        watch = asyncio.create_task(_cancel_when_gone(receive, job))
        try:
            yield job
        finally:
            job.cancel()
            watch.cancel()


async def _cancel_when_gone(receive: Receive, job: Job) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue
    job.cancel()


async def _in_thread(
    results: Iterator[Segment | Transcript], threads: ThreadPoolExecutor
) -> AsyncIterator[Segment | Transcript]:
    """Each result is computed in a thread and only when asked for, so none piles up."""
    loop = asyncio.get_running_loop()
    while (result := await loop.run_in_executor(threads, next, results, None)) is not None:
        yield result


async def _events(results: AsyncIterator[Segment | Transcript]) -> AsyncIterator[msgspec.Struct]:
    texts: list[str] = []
    async for result in results:
        if isinstance(result, Segment):
            texts.append(result.text)
            yield msgspec.convert(result, SegmentEvent, from_attributes=True)
        else:
            yield DoneEvent(
                text="".join(texts).strip(),
                language=result.language,
                duration=result.duration,
                usage=MeasuredUsage(seconds=result.usage.seconds),
            )


class _Fields(msgspec.Struct):
    """The form besides its file; `model` is the caller's affair, this process has one."""

    language: str | None = None
    prompt: str | None = None
    temperature: float = 0.0


def _job(form: FormData, task: Task) -> Job:
    file = form.get("file")
    if not isinstance(file, UploadFile):
        raise InvalidRequest("The form has no file.", param="file")
    given = {name: value for name, value in form.items() if value}
    try:
        fields = msgspec.convert(given, _Fields, strict=False)
    except msgspec.ValidationError:
        raise InvalidRequest("A field of the form has a wrong value.") from None
    return Job(
        file=file.file,
        task=task,
        language=fields.language,
        prompt=fields.prompt,
        temperature=fields.temperature,
        words="word" in form.getlist("timestamp_granularities[]"),
    )

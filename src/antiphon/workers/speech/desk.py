"""Recordings in work: opened, perhaps held, decoded, cut, heard window by window, and put together."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import BinaryIO, TypeVar

from antiphon.errors import AntiphonError, InvalidRequest, NotFound, Unavailable
from antiphon.values import Progress, Segment, Transcript, Usage
from antiphon.workers.serve import as_error
from antiphon.workers.speech.cut import CutOptions, Cutter
from antiphon.workers.speech.decoder import Decoders, Sound
from antiphon.workers.speech.lanes import Lanes
from antiphon.workers.speech.recording import Recording
from antiphon.workers.speech.transcriber import Transcriber
from antiphon.workers.speech.transcript import Assembly, Languages
from antiphon.workers.speech.turns import Turns
from antiphon.workers.speech.values import RATE, Heard, Job, Window

T = TypeVar("T")

AHEAD_SECONDS = 60.0
"""Sound of one recording that is decoded and waits: its windows, whose sum bounds the memory."""
LONG_SECONDS, FIRST_SECONDS = 60.0, 6.0
ALONE = 2
"""Windows that are heard one after another, until the language is certain; all others side by side."""
EXTRA = 4
"""Recordings beyond the slots that are let in: the gateway's count and ours differ for moments."""

Item = tuple[Window, asyncio.Future[Heard]] | float | AntiphonError
"""A window in work; or the end of its recording: the seconds of sound, or what went wrong."""


def ahead(threads: int, window: float) -> int:
    """Windows of one recording that wait: a lone one is to keep every lane busy, however many there are."""
    return max(2 * threads, int(AHEAD_SECONDS / window))


class Desk:
    """Takes recordings to the decoder and the lanes. Everything is called in one event loop."""

    def __init__(
        self,
        decoders: Decoders,
        transcriber: Transcriber,
        lanes: Lanes,
        *,
        slots: int,
        audio_seconds: float,
        window: float,
        threads: int = 1,
    ) -> None:
        self._decoders, self._transcriber, self._lanes = decoders, transcriber, lanes
        self._slots, self._limit = slots, audio_seconds
        self._window = window
        self._ahead = ahead(threads, window)
        self._open: dict[str, Recording] = {}
        # One for each recording: waiting for a model, it holds nobody up.
        self._loading = ThreadPoolExecutor(slots + EXTRA, thread_name_prefix="load")
        cutting = max(2, threads // 2)
        self._cutting = ThreadPoolExecutor(cutting, thread_name_prefix="cut")
        self._turns = Turns(cutting)
        """Silence is cut as fast as it is decoded, since no lane holds it up: none may take all threads."""

    @asynccontextmanager
    async def open(self, job: Job, file: BinaryIO) -> AsyncIterator[Recording]:
        """A recording, for as long as the block runs.

        Its model stays in memory for as long. Raises what `Decoders.scan` raises, `InvalidRequest` for what
        is not served or the model cannot do, `EngineFailed` if the model cannot be loaded, and `Unavailable`
        beyond the slots, with the wait that is predicted.
        """
        if not self._transcriber.serves(job.model):
            raise InvalidRequest("The speech engine does not serve this model.", param="model")
        self._transcriber.refuse(job)
        if len(self._open) >= self._slots + EXTRA:
            raise Unavailable("The speech engine is busy.", retry_after=max(1.0, self._lanes.expected(1.0)))
        recording = Recording(job.id)
        self._open[recording.id] = recording
        try:
            recording.seconds = await self._decoders.scan(file, self._limit)
            async with self._loaded(job.model):
                cost = self._transcriber.cost(job, recording.seconds)
                recording.expected = self._lanes.expected(cost)
                yield recording
        finally:
            del self._open[recording.id]

    @asynccontextmanager
    async def _loaded(self, model: str) -> AsyncIterator[None]:
        """A model in memory. It is waited for here, where no lane stands still meanwhile."""
        use = self._transcriber.use(model)
        entering = asyncio.get_running_loop().run_in_executor(self._loading, use.__enter__)
        try:
            await asyncio.shield(entering)
        except asyncio.CancelledError:
            # Whoever does not wait for it any more gives it back once it is there.
            entering.add_done_callback(lambda done: done.exception() or use.__exit__(None, None, None))
            raise
        try:
            yield
        finally:
            use.__exit__(None, None, None)

    def start(self, id: str) -> None:
        """Let a recording that is held go on. Raises `NotFound`."""
        try:
            self._open[id].start()
        except KeyError:
            raise NotFound("There is no such recording.") from None

    async def transcribe(
        self, job: Job, recording: Recording, file: BinaryIO
    ) -> AsyncGenerator[Segment | Progress | Transcript, None]:
        """Segments in order as soon as they are known, `Progress` where there are none, last `Transcript`.

        Closing it gives up the rest. Raises what `Sound.read` raises, and `EngineFailed`.
        """
        line: asyncio.Queue[Item] = asyncio.Queue(self._ahead)
        async with self._decoders.open(file, self._limit, recording.seconds) as sound:
            pump = asyncio.create_task(self._pump(job, recording, sound, line))
            try:
                async with aclosing(self._assembled(line, job.language)) as pieces:
                    async for piece in pieces:
                        yield piece
            finally:
                pump.cancel()
                self._lanes.cancel(job.id)
                await asyncio.gather(pump, return_exceptions=True)

    async def _assembled(
        self, line: asyncio.Queue[Item], language: str | None
    ) -> AsyncGenerator[Segment | Progress | Transcript, None]:
        """What the windows in `line` give, until its end: the length of the sound, or an error."""
        assembly = Assembly()
        while isinstance(item := await line.get(), tuple):
            window, future = item
            known = assembly.add(window, await future)
            for segment in known:
                yield segment
            if not known:
                yield Progress(seconds=window.end / RATE)
        if isinstance(item, AntiphonError):
            raise item
        for segment in assembly.end():
            yield segment
        language = language or assembly.languages.main or "en"
        yield Transcript(language=language, duration=item, usage=Usage(seconds=item))

    async def _pump(self, job: Job, recording: Recording, sound: Sound, line: asyncio.Queue[Item]) -> None:
        """Decode, cut and submit, as far ahead as `line` has room."""
        languages = Languages()
        try:
            options = CutOptions(window=self._window, first=_first(recording.seconds))
            async with aclosing(self._windows(sound, job.organization, options)) as windows:
                async for window in windows:
                    left = self._transcriber.cost(job, recording.seconds - window.start / RATE)
                    future = self._lanes.submit(self._transcriber.task(job, window, languages.certain, left))
                    future.add_done_callback(partial(_note, languages))
                    await line.put((window, future))
                    if window.number < ALONE and not (job.language or languages.certain):
                        # What the first windows tell of the language is for all that follow.
                        await asyncio.wait([future])
            await line.put(sound.seconds)
        except Exception as problem:
            await line.put(as_error(problem))

    async def _windows(
        self, sound: Sound, organization: str, options: CutOptions
    ) -> AsyncGenerator[Window, None]:
        cutter = await self._cut(organization, Cutter, options)
        while len(samples := await sound.read()):
            for window in await self._cut(organization, cutter.feed, samples):
                yield window
        for window in await self._cut(organization, cutter.end):
            yield window

    async def _cut(self, organization: str, work: Callable[..., T], *given: object) -> T:
        """Do a piece of work in a thread, when it is the organization's turn."""
        async with self._turns.turn(organization):
            return await asyncio.get_running_loop().run_in_executor(self._cutting, work, *given)

    def close(self) -> None:
        """Let go of the threads; to be called once no recording is open."""
        self._cutting.shutdown(wait=False, cancel_futures=True)
        self._loading.shutdown(wait=False, cancel_futures=True)

    def check(self, now: float) -> Collection[str]:
        """The models that cannot be used. Raises `EngineFailed` if the lanes do not move on."""
        self._lanes.check(now)
        return self._transcriber.unusable


def _first(seconds: float) -> float:
    """The longest first window of a recording: of a long one, the first text is waited for most."""
    return FIRST_SECONDS if seconds > LONG_SECONDS else math.inf


def _note(languages: Languages, future: asyncio.Future[Heard]) -> None:
    """Of several windows that fail, only the first one's error is raised; the others' are no surprise."""
    if not future.cancelled() and future.exception() is None:
        languages.add(future.result())

"""The conductor of recordings: resolve, enter, acquire, prepare, reserve, transcribe, settle."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import cast

import msgspec

from antiphon.admission.limits import upload_demand
from antiphon.admission.rates import Show
from antiphon.engines.base import SpeechEngine
from antiphon.errors import RequestTimeout
from antiphon.inference.conductor import Conductor, account
from antiphon.ledger.meter import Bill
from antiphon.values import Caller, Segment, Snapshot, SpeechJob, Transcript, Usage


class SpeechAnswer(msgspec.Struct, frozen=True):
    """A transcript on its way: what gives it, and its segments as they come, last one `Transcript`.

    The transcript is paid once the pieces have come to their end: what may fail in writing it belongs before.
    Whoever streams calls `handed` with each segment that was handed to the client: so much is paid if the
    transcript goes no further. `charged` says whether the whole is paid, or may be yet, once the block was
    left.
    """

    snapshot: Snapshot
    pieces: AsyncGenerator[Segment | Transcript, None]
    handed: Callable[[Segment], None]
    charged: Callable[[], bool]


class Transcription(Conductor):
    """Transcribes and translates recordings."""

    @asynccontextmanager
    async def answer(
        self, caller: Caller, job: SpeechJob, request_id: str, show: Show
    ) -> AsyncIterator[SpeechAnswer]:
        """The transcript of `job`, for as long as the block runs; leaving it early cancels the work.

        `show` is told how the caller stands against its limits. Raises any of `AntiphonError`, in the block
        as well. The deadline is `speech_seconds` for each time without a new segment: a long recording that
        moves on is never cut off.
        """
        snapshot = self._resolve(job.model, "speech")
        pool = self._pools.get(snapshot.id)
        demand = upload_demand((await asyncio.to_thread(job.file.stat)).st_size)
        async with self._gate.enter(caller, snapshot.id, lambda: pool.capacity, 1, demand, show) as place:
            with pool.acquire() as lease:
                engine = cast(SpeechEngine, lease.engine)
                length = await self._length(engine, job)
                await place.take_audio(length)
                most = Usage(seconds=length)
                async with self._meter.open(request_id, account(caller), snapshot, most) as bill:

                    def handed(segment: Segment) -> None:
                        # A model may place the end of its last words behind that of the sound.
                        bill.handed(Usage(seconds=min(segment.end, length)))

                    async with aclosing(self._settled(snapshot, engine.transcribe(job), bill)) as pieces:
                        yield SpeechAnswer(snapshot, pieces, handed, lambda: bill.charged)

    async def _length(self, engine: SpeechEngine, job: SpeechJob) -> float:
        try:
            async with asyncio.timeout(self._settings.speech_seconds):
                return await engine.prepare(job)
        except TimeoutError:
            raise RequestTimeout("Reading the recording took too long.") from None

    async def _settled(
        self, snapshot: Snapshot, pieces: AsyncGenerator[Segment | Transcript, None], bill: Bill
    ) -> AsyncGenerator[Segment | Transcript, None]:
        """The pieces, observed; who asks for more after the last has them paid."""
        began, first = time.monotonic(), True
        async with aclosing(pieces):
            while True:
                try:
                    async with asyncio.timeout(self._settings.speech_seconds):
                        piece = await anext(pieces)
                except TimeoutError:
                    raise RequestTimeout("The transcription took too long.") from None
                except StopAsyncIteration:
                    return
                if first:
                    self._metrics.first_token.labels(snapshot.id).observe(time.monotonic() - began)
                    first = False
                yield piece
                if isinstance(piece, Transcript):
                    self._metrics.audio.labels(snapshot.id).inc(piece.duration)
                    await bill.settle(piece.usage)
                    return

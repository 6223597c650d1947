"""The conductor of recordings: resolve, enter, acquire, transcribe; each called once, in this order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import cast

import msgspec

from antiphon.engines.base import SpeechEngine
from antiphon.errors import RequestTimeout
from antiphon.inference.conductor import Conductor
from antiphon.values import Caller, Segment, Snapshot, SpeechJob, Transcript


class SpeechAnswer(msgspec.Struct, frozen=True):
    """A transcript on its way: what gives it, and its segments as they come, last one `Transcript`."""

    snapshot: Snapshot
    pieces: AsyncGenerator[Segment | Transcript, None]


class Transcription(Conductor):
    """Transcribes and translates recordings."""

    @asynccontextmanager
    async def answer(self, caller: Caller, job: SpeechJob) -> AsyncIterator[SpeechAnswer]:
        """The transcript of `job`, for as long as the block runs; leaving it early cancels the work.

        Raises any of `AntiphonError`, in the block as well. The deadline is `speech_seconds` for each time
        without a new segment: a long recording that moves on is never cut off.
        """
        snapshot = self._resolve(job.model, "speech")
        pool = self._pools.get(snapshot.id)
        async with self._gate.enter(caller, snapshot.id, lambda: pool.capacity):
            with pool.acquire() as lease:
                segments = cast(SpeechEngine, lease.engine).transcribe(job)
                async with aclosing(self._observed(snapshot, segments)) as pieces:
                    yield SpeechAnswer(snapshot, pieces)

    async def _observed(
        self, snapshot: Snapshot, pieces: AsyncGenerator[Segment | Transcript, None]
    ) -> AsyncGenerator[Segment | Transcript, None]:
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
                if isinstance(piece, Transcript):
                    self._metrics.audio.labels(snapshot.id).inc(piece.duration)
                yield piece

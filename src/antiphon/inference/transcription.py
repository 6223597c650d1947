"""The conductor of recordings: resolve, enter, acquire, open, reserve, transcribe, settle."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager

import msgspec

from antiphon.admission.limits import upload_demand
from antiphon.admission.rates import Show
from antiphon.engines.base import OpenRecording, SpeechEngine
from antiphon.errors import RequestTimeout, TooLarge, TranscriptionTooSlow
from antiphon.inference.attempts import begun
from antiphon.inference.conductor import Conductor, account
from antiphon.ledger.meter import Bill
from antiphon.ledger.moments import Asked
from antiphon.spans import span
from antiphon.values import Caller, Progress, Segment, Snapshot, SpeechJob, Transcript, Usage

_GREED = 3
"""An hour of sound holds its place for minutes, and needs no engine meanwhile that others could not share."""


class SpeechAnswer(msgspec.Struct, frozen=True):
    """A transcript on its way: what gives it, and its segments as they come, last one `Transcript`.

    `seconds` is the length of the recording: no more is paid. A transcript is paid once the pieces have come
    to their end: what may fail in writing it belongs before. Whoever streams calls `handed` with each segment
    that was handed to the client: so much is paid if the transcript goes no further. `charged` says whether
    the whole is paid, or may be yet, once the block was left.
    """

    snapshot: Snapshot
    seconds: float
    pieces: AsyncGenerator[Segment | Transcript, None]
    handed: Callable[[Segment], None]
    charged: Callable[[], bool]


class Transcription(Conductor):
    """Transcribes and translates recordings."""

    def expect(self, caller: Caller) -> None:
        """Raise as `answer` would, before a recording is received, if there is no room for it in any line.

        Of who has an instance of its own only `answer` knows where a request goes.
        """
        shared = [
            one for one in self._pools if one.deployment.task == "speech" and not one.deployment.instance
        ]
        organization = caller.organization_id
        if not any(self._pools.dedicated(organization, pool.deployment.snapshot) for pool in shared):
            self._gate.expect(caller, [(pool.deployment.name, pool.capacity) for pool in shared])

    @asynccontextmanager
    async def answer(
        self, caller: Caller, job: SpeechJob, request_id: str, show: Show, *, streamed: bool
    ) -> AsyncIterator[SpeechAnswer]:
        """The transcript of `job`, for as long as the block runs; leaving it early cancels the work.

        `show` is told how the caller stands against its limits. Raises any of `AntiphonError`, in the block
        as well. The deadline is `speech_seconds` for the time until the recording is open, and as much on top
        of what the engine expects it to take for each time without a new segment: a long recording that
        moves on, or is silent for long, is not cut off. One that is not `streamed` and would take longer than
        `speech_answer_seconds` is refused.
        """
        asked = Asked(job.model, "audio.translations" if job.task == "translate" else "audio.transcriptions")
        demand = upload_demand((await asyncio.to_thread(job.file.stat)).st_size)
        # From here to the gate nothing is awaited: another request could be sent to the same last place.
        way = self._way(caller, self._resolve(caller, job.model, "speech"))
        pool, snapshot = way.pool, way.snapshot
        async with self._gate.enter(
            caller,
            way.name,
            lambda: pool.capacity,
            1,
            demand,
            show,
            greed=_GREED if way.limited else None,
            rated_as=snapshot.id if way.limited else None,
        ) as place:
            asked.moments.let_in()
            meant = msgspec.structs.replace(job, model=snapshot.id)
            async with begun(
                pool, lambda engine, held: held.enter_async_context(self._opened(engine, meant))
            ) as (_, recording):
                if not streamed and recording.expected > self._settings.speech_answer_seconds:
                    raise TranscriptionTooSlow()
                await place.take_audio(recording.seconds)
                most = Usage(seconds=recording.seconds)
                async with self._meter.open(request_id, account(caller), snapshot, most, asked) as bill:

                    def handed(segment: Segment) -> None:
                        # A model may place the end of its last words behind that of the sound.
                        bill.handed(Usage(seconds=min(segment.end, recording.seconds)))

                    async with aclosing(self._settled(snapshot, recording, bill)) as pieces:
                        yield SpeechAnswer(snapshot, recording.seconds, pieces, handed, lambda: bill.charged)

    @asynccontextmanager
    async def _opened(self, engine: SpeechEngine, job: SpeechJob) -> AsyncIterator[OpenRecording]:
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(self._settings.speech_seconds):
                    recording = await stack.enter_async_context(engine.open(job))
            except TimeoutError:
                raise RequestTimeout("Reading the recording took too long.") from None
            yield recording

    async def _settled(
        self, snapshot: Snapshot, recording: OpenRecording, bill: Bill
    ) -> AsyncGenerator[Segment | Transcript, None]:
        """The pieces, observed; who asks for more after the last has them paid."""
        began, first = time.monotonic(), True
        bill.moments.engine()
        patience = self._settings.speech_seconds + recording.expected
        with span("engine", snapshot=snapshot.id) as noted:
            async with aclosing(recording.transcribe()) as pieces:
                while True:
                    try:
                        async with asyncio.timeout(patience):
                            piece = await anext(pieces)
                    except TimeoutError:
                        raise RequestTimeout("The transcription took too long.") from None
                    except StopAsyncIteration:
                        return
                    except TooLarge as problem:
                        # Longer than any may be, which it did not say. What came so far was no answer.
                        bill.waive(type(problem).__name__)
                        raise
                    if isinstance(piece, Progress):
                        continue  # it moves on
                    if isinstance(piece, Transcript):
                        piece = _within(piece, recording.seconds)
                    if first:
                        bill.moments.first()
                        self._metrics.first_token.labels(snapshot.id).observe(time.monotonic() - began)
                        first = False
                    yield piece
                    if isinstance(piece, Transcript):
                        noted.facts["seconds"] = piece.duration
                        self._metrics.audio.labels(snapshot.id).inc(piece.duration)
                        with span("settle"):
                            await bill.settle(piece.usage)
                        return


def _within(transcript: Transcript, seconds: float) -> Transcript:
    """Nobody pays for more than was announced and reserved, so no more is told as used either."""
    usage = Usage(seconds=min(transcript.usage.seconds, seconds))
    return msgspec.structs.replace(transcript, usage=usage)

"""Recordings on their way to a server: opened, held, decoded to be measured, sent, and its answer given."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import BinaryIO, ClassVar

from antiphon.errors import InvalidRequest, NotFound, Unavailable
from antiphon.values import Progress, Segment, Transcript, Usage
from antiphon.workers.relay.server import Server
from antiphon.workers.relay.spoken import segments
from antiphon.workers.speech.decoder import Decoders
from antiphon.workers.speech.recording import Recording
from antiphon.workers.speech.values import Job

_PACE = 0.1
"""Seconds of work for a second of sound, until that was measured."""
_UNKNOWN = "unknown"
"""The language of a recording, where neither the client nor the server tells it."""
_NEWEST = 0.2
"""How much the last recording weighs in what is expected of the next."""


class Desk:
    """The desk of `workers.speech.app` for a model that is served elsewhere. Called in one event loop."""

    EXTRA: ClassVar[int] = 4
    """Recordings beyond the slots that are let in: the gateway's count and ours differ for moments."""

    def __init__(
        self, decoders: Decoders, server: Server, model: str, *, slots: int, audio_seconds: float
    ) -> None:
        self._decoders, self._server, self._model = decoders, server, model
        self._slots, self._limit = slots, audio_seconds
        self._open: dict[str, Recording] = {}
        self._pace = _PACE

    @asynccontextmanager
    async def open(self, job: Job, file: BinaryIO) -> AsyncIterator[Recording]:
        """A recording, for as long as the block runs.

        Raises what `Decoders.scan` raises, `InvalidRequest` for another model, and `Unavailable` beyond the
        slots.
        """
        if job.model != self._model:
            raise InvalidRequest("The speech engine does not serve this model.", param="model")
        if len(self._open) >= self._slots + self.EXTRA:
            raise Unavailable("The speech engine is busy.", retry_after=1)
        recording = self._open[job.id] = Recording(job.id)
        try:
            recording.seconds = await self._decoders.scan(file, self._limit)
            recording.expected = recording.seconds * self._pace
            yield recording
        finally:
            del self._open[job.id]

    def start(self, id: str) -> None:
        """Let a recording that is held go on. Raises `NotFound`."""
        try:
            self._open[id].start()
        except KeyError:
            raise NotFound("There is no such recording.") from None

    async def transcribe(
        self, job: Job, recording: Recording, file: BinaryIO
    ) -> AsyncGenerator[Segment | Progress | Transcript, None]:
        """All segments at once, when the server has answered; last `Transcript`, with what was measured here.

        Raises what `Sound.read` and `Server.transcribe` raise.
        """
        began = time.monotonic()
        seconds = await self._measured(recording, file)
        spoken = await self._server.transcribe(job, file)
        pace = (time.monotonic() - began) / max(1.0, seconds)
        self._pace += _NEWEST * (pace - self._pace)
        for segment in segments(spoken, seconds):
            yield segment
        language = job.language or (spoken.language or _UNKNOWN).lower()
        yield Transcript(language=language, duration=seconds, usage=Usage(seconds=seconds))

    async def _measured(self, recording: Recording, file: BinaryIO) -> float:
        """Seconds of sound. A recording that is not what it says is sent nowhere."""
        async with self._decoders.open(file, self._limit, recording.seconds) as sound:
            while len(await sound.read()):
                pass
            return sound.seconds

    def check(self, now: float) -> Collection[str]:
        """Raises `EngineFailed` while the server does not answer."""
        self._server.check()
        return ()

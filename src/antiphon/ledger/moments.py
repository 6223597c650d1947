"""What was asked and when it went on, for the log of requests: no content, and nothing is billed by it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

import msgspec

Endpoint = Literal[
    "", "chat.completions", "completions", "embeddings", "audio.transcriptions", "audio.translations"
]


class Times(msgspec.Struct, frozen=True, array_like=True):
    """Milliseconds since a request had arrived whole; None for what it never came to."""

    queued: int | None = None
    """Until it was let in: its rates were looked at, and it had waited for a place."""
    engine: int | None = None
    """Until the engine was asked to answer: what it reads was made ready and the money reserved."""
    first: int | None = None
    """Until the first piece of the answer was there."""
    ended: int | None = None
    """Until the answer was whole and about to be paid, or was given up."""


class Moments:
    """A stopwatch that begins when it is made; of each moment the first is kept. `clock` is monotonic."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._began = clock, clock()
        self._times = Times()

    def let_in(self) -> None:
        if self._times.queued is None:
            self._times = msgspec.structs.replace(self._times, queued=self._passed())

    def engine(self) -> None:
        if self._times.engine is None:
            self._times = msgspec.structs.replace(self._times, engine=self._passed())

    def first(self) -> None:
        if self._times.first is None:
            self._times = msgspec.structs.replace(self._times, first=self._passed())

    def ended(self) -> Times:
        """All of them: this is the end, unless it came before."""
        if self._times.ended is None:
            self._times = msgspec.structs.replace(self._times, ended=self._passed())
        return self._times

    def _passed(self) -> int:
        return round((self._clock() - self._began) * 1000)


class Asked(msgspec.Struct, frozen=True):
    """The model by the name that it was asked for, where, and the moments of the request."""

    model: str = ""
    endpoint: Endpoint = ""
    moments: Moments = msgspec.field(default_factory=Moments)

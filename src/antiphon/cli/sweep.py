"""A model asked by more and more clients at once, with the clock beside them.

Each client asks again as soon as it is answered, so that as many requests as there are clients run all the
time. What is counted begins when every client has been answered once.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import msgspec

from antiphon.cli.output import CommandFailed
from antiphon.ledger.levels import Level, percentiles, whole
from antiphon.ledger.workload import Shape

PAUSE_SECONDS = 1.0
"""After a request that failed: what fails at once is not asked in a circle."""


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """One answer: seconds until its first token and its end, its tokens, and how many were wanted of it."""

    first: float
    seconds: float
    prompt_tokens: int
    answer_tokens: int
    wanted: int


Ask = Callable[[Shape], Awaitable[Answered]]
"""Asks for one answer. Raises `CommandFailed`."""


class Sweep:
    """Loads measured one after another; `levels` is what is known so far, also after it was broken off.

    Each is measured with as many `requests` as there are clients at least, of which the last begins within
    `seconds` and has as long to end. `done` of them, of all loads, are over; `changed` is called whenever
    that is another number.
    """

    def __init__(self, ask: Ask, mix: Sequence[Shape], *, requests: int, seconds: float) -> None:
        self.levels: list[Level] = []
        self.done = 0
        self.changed: Callable[[], None] = lambda: None
        self._ask = ask
        self._mix = mix
        self._requests = requests
        self._seconds = seconds
        self._heard = False

    async def run(self, loads: Sequence[int], replicas: int) -> None:
        """Measure these loads, up to one at which nothing is answered in time.

        Raises `CommandFailed` if the first request fails.
        """
        for load in loads:
            self.levels.append(await self._level(load, replicas))
            if not self.levels[-1].answered:
                break

    async def _level(self, load: int, replicas: int) -> Level:
        run = _Run(self._answered, self._mix, clients=load * replicas, sample=self.sample(load * replicas))
        await run.go(self._seconds)
        return run.level(load, replicas)

    def sample(self, clients: int) -> int:
        """How many requests are counted: each client has its equal part of them."""
        return clients * max(1, math.ceil(self._requests / clients))

    async def _answered(self, shape: Shape, counts: bool) -> Answered | None:
        """None for one that failed."""
        try:
            answer = await self._ask(shape)
        except CommandFailed:
            if not self._heard:
                raise  # whatever is wrong is wrong with all of them
            await asyncio.sleep(PAUSE_SECONDS)
            answer = None
        self._heard = True
        if counts:
            self.done += 1
            self.changed()
        return answer


class _Run:
    """One load while it is measured."""

    def __init__(
        self,
        ask: Callable[[Shape, bool], Awaitable[Answered | None]],
        mix: Sequence[Shape],
        *,
        clients: int,
        sample: int,
    ) -> None:
        self._ask = ask
        self._mix = mix
        self._clients = clients
        self._sample = sample
        self._warming = clients
        """Clients that have not been answered yet."""
        self._begun: float | None = None
        self._ended = 0.0
        self._started = self._others = 0
        """Requests of the sample that have begun, and others."""
        self._counted: list[Answered | None] = []
        """What became of those of the sample."""
        self._carried: list[Answered] = []
        """The answers that ended while it was measured."""
        self._over = asyncio.Event()

    async def _is_over(self, seconds: float) -> bool:
        """Whether the sample is answered within so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._over.wait()
        return self._over.is_set()

    async def go(self, seconds: float) -> None:
        """Begin requests for so many seconds at most, and wait as long for the last.

        Raises `CommandFailed`.
        """
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._work()) for _ in range(self._clients)]
                if not await self._is_over(seconds):
                    # No more are begun, but those that were are waited for: the short ones alone would tell
                    # another tale.
                    self._sample = self._started
                    if len(self._counted) < self._sample:
                        await self._is_over(seconds)
                self._ended = time.monotonic()
                for task in tasks:
                    task.cancel()
        except ExceptionGroup as problems:
            raise problems.exceptions[0] from None

    async def _work(self) -> None:
        """One client: it goes on until it is stopped, so that the last of the sample are not alone."""
        warming = True
        while True:
            counts = self._begun is not None and self._started < self._sample
            number = self._started if counts else self._others
            self._started, self._others = self._started + counts, self._others + (not counts)
            answer = await self._ask(self._mix[number % len(self._mix)], counts)
            if answer and self._begun is not None:
                self._carried.append(answer)
            if counts:
                self._counted.append(answer)
                if len(self._counted) == self._sample:
                    self._over.set()
            self._warming -= warming
            warming = False
            if not self._warming and self._begun is None:
                self._begun = time.monotonic()

    def level(self, load: int, replicas: int) -> Level:
        """What was found, once it is over."""
        seconds = 0.0 if self._begun is None else self._ended - self._begun
        counted = [*self._counted, *[None] * (self._started - len(self._counted))]
        answers = [one for one in counted if one]
        written = sum(one.answer_tokens for one in self._carried)
        read = sum(one.prompt_tokens for one in self._carried)
        carried = seconds * replicas
        pace = _pace(answers)
        return Level(
            load=load,
            answered=len(answers),
            failed=len(counted) - len(answers),
            seconds=seconds,
            throughput=(read + written) / carried if carried else 0.0,
            written=written / carried if carried else 0.0,
            prompt_tokens=_mean([one.prompt_tokens for one in answers]),
            answer_tokens=_mean([one.answer_tokens for one in answers]),
            first_token=percentiles([one.first if one else math.inf for one in counted]),
            answer=percentiles([_whole(one, pace) if one else math.inf for one in counted]),
        )


def _pace(answers: Sequence[Answered]) -> float:
    """Seconds from one token to the next, over all answers."""
    steps = sum(max(0, one.answer_tokens - 1) for one in answers)
    return sum(one.seconds - one.first for one in answers) / steps if steps else 0.0


def _whole(one: Answered, pace: float) -> float:
    return whole(one.first, one.seconds, one.answer_tokens, one.wanted, pace)


def _mean(numbers: Sequence[int]) -> float:
    return sum(numbers) / len(numbers) if numbers else 0.0

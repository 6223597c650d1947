"""An event loop whose time passes only when nothing is left to do: a day takes seconds, always the same."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Clock:
    """`now` is the loop's time, in seconds; `wall` is what the processes take for the time of day."""

    START = 1_790_000_000.0

    def __init__(self) -> None:
        self.now = 0.0
        self.offset = self.START

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now + self.offset


class _Selector(selectors.SelectSelector):
    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everything waits, and nothing is going to happen")
        self._clock.now += max(0.0, timeout)
        return []


def run(clock: Clock, main: Coroutine[Any, Any, T]) -> T:
    """Run `main` to its end in virtual time."""
    loop = asyncio.SelectorEventLoop(_Selector(clock))
    loop.time = clock.monotonic  # type: ignore[method-assign]
    try:
        return loop.run_until_complete(main)
    finally:
        while running := asyncio.all_tasks(loop):
            for task in running:
                task.cancel()
            loop.run_until_complete(asyncio.wait(running, timeout=0.001))
        loop.close()

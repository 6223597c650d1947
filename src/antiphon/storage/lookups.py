"""Answers kept for a moment, so that a busy key does not ask the database with every request."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Generic, TypeVar

T = TypeVar("T")

AT_ONCE = 2
"""Questions that are put to the database at once: they leave most of its connections to others."""
_LOOKS = 5
"""Into so many parts patience is divided: of a time in which this process stood still, one counts. What the
database answered meanwhile is heard."""


class Lookups(Generic[T]):
    """Remembers what `find` answered, "nothing" included, for `seconds` from the moment it was asked.

    Those who ask for the same key meanwhile share one question. An answer is therefore never older than
    `seconds`, however slow the database is. At most `bound` keys are remembered, the latest used.
    Failures are not remembered. `AT_ONCE` questions run; the others stand in line for as long as somebody
    waits for them, at most `patience` seconds. Where no answer comes in that time, the one before may stand
    in for it, up to `spare` seconds longer than it counts.
    """

    def __init__(
        self,
        find: Callable[[bytes], Coroutine[Any, Any, T]],
        *,
        seconds: float,
        patience: float,
        spare: float = 0.0,
        bound: int,
        clock: Callable[[], float],
    ) -> None:
        """`clock` is monotonic, in seconds."""
        self._find = find
        self._seconds = seconds
        self._patience = patience
        self._spare = spare
        self._bound = bound
        self._clock = clock
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._questions: OrderedDict[bytes, _Question[T]] = OrderedDict()

    async def get(self, key: bytes) -> T:
        """The answer for `key`; raises what `find` raises, and `TimeoutError` after `patience`.

        Being cancelled does not disturb the others.
        """
        now = self._clock()
        question = self._questions.get(key)
        if question is None or question.until <= now or question.given_up:
            before = question
            question = _Question(partial(self._find, key), self._turns, now + self._seconds)
            question.before = before and before.latest
            question.task.add_done_callback(partial(self._forget_failure, key))
            self._questions[key] = question
        self._questions.move_to_end(key)
        if len(self._questions) > self._bound:
            self._questions.popitem(last=False)
        if question.known:
            return question.task.result()
        try:
            return await question.answer(self._patience)
        except TimeoutError:
            before = question.before
            if before is None or before.until + self._spare <= self._clock():
                raise
            return before.task.result()

    def __len__(self) -> int:
        return len(self._questions)

    def _forget_failure(self, key: bytes, task: asyncio.Task[T]) -> None:
        question = self._questions.get(key)
        failed = task.cancelled() or task.exception() is not None
        if failed and question is not None and question.task is task:
            del self._questions[key]


class _Question(Generic[T]):
    """One question. Its answer counts `until` then, by the monotonic clock."""

    def __init__(
        self, find: Callable[[], Coroutine[Any, Any, T]], turns: asyncio.Semaphore, until: float
    ) -> None:
        self.until = until
        self.before: _Question[T] | None = None
        """The last for the same key that was answered."""
        self._find, self._turns = find, turns
        self._waiting = 0
        self._put = False
        self.task = asyncio.create_task(self._ask())

    @property
    def given_up(self) -> bool:
        """Whether everybody went away before it was put."""
        return self.task.cancelling() > 0

    @property
    def known(self) -> bool:
        """Whether it was answered."""
        return self.task.done() and not self.task.cancelled() and self.task.exception() is None

    @property
    def latest(self) -> _Question[T] | None:
        """The last that was answered: this one, or the one before."""
        if not self.known:
            return self.before
        self.before = None  # no chain of answers is kept
        return self

    async def answer(self, patience: float) -> T:
        """Raises `TimeoutError` after so many seconds."""
        self._waiting += 1
        try:
            for _ in range(_LOOKS):
                await asyncio.wait({self.task}, timeout=patience / _LOOKS)
                if self.task.done():
                    return self.task.result()
            raise TimeoutError
        finally:
            self._waiting -= 1
            # One that was put is heard to its end: to break it off would cost a connection.
            if not self._waiting and not self._put:
                self.task.cancel()

    async def _ask(self) -> T:
        async with self._turns:
            self._put = True
            return await self._find()

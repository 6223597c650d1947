"""Answers kept for a moment, so that a busy key does not ask the database with every request."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Generic, TypeVar

import msgspec

T = TypeVar("T")


class Entry(msgspec.Struct, frozen=True):
    until: float
    task: asyncio.Task[Any]


class Lookups(Generic[T]):
    """Remembers what `find` answered, "nothing" included, for `seconds` from the moment it was asked.

    Those who ask for the same key meanwhile share one question. An answer is therefore never older than
    `seconds`, however slow the database is. At most `bound` keys are remembered, the latest used.
    Failures are not remembered.
    """

    def __init__(
        self,
        find: Callable[[bytes], Coroutine[Any, Any, T]],
        *,
        seconds: float,
        bound: int,
        clock: Callable[[], float],
    ) -> None:
        """`clock` is monotonic, in seconds."""
        self._find = find
        self._seconds = seconds
        self._bound = bound
        self._clock = clock
        self._entries: OrderedDict[bytes, Entry] = OrderedDict()

    async def get(self, key: bytes) -> T:
        """The answer for `key`; raises what `find` raises. Being cancelled does not disturb the others."""
        now = self._clock()
        entry = self._entries.get(key)
        if entry is None or entry.until <= now:
            task = asyncio.create_task(self._find(key))
            task.add_done_callback(partial(self._forget_failure, key))
            entry = self._entries[key] = Entry(now + self._seconds, task)
        self._entries.move_to_end(key)
        if len(self._entries) > self._bound:
            self._entries.popitem(last=False)
        answer: T = await asyncio.shield(entry.task)
        return answer

    def __len__(self) -> int:
        return len(self._entries)

    def _forget_failure(self, key: bytes, task: asyncio.Task[T]) -> None:
        entry = self._entries.get(key)
        failed = task.cancelled() or task.exception() is not None
        if failed and entry is not None and entry.task is task:
            del self._entries[key]

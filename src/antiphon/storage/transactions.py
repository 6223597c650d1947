"""Transactions that are one function: how each kind of database runs them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.ext.asyncio import AsyncEngine

T = TypeVar("T")


class Transactions(Protocol):
    """Raises what the database raises: the border is whoever calls."""

    async def run(self, work: Callable[[Connection], T]) -> T:
        """`work` in a transaction that may write, committed durably at its end."""

    async def close(self) -> None:
        """Close the connections that are not in use."""


class OnLoop:
    """Over an asynchronous driver: the event loop goes on while the server works on a statement."""

    def __init__(self, engine: AsyncEngine) -> None:
        """`engine` is closed by whoever made it."""
        self._engine = engine

    async def run(self, work: Callable[[Connection], T]) -> T:
        async with self._engine.begin() as connection:
            return await connection.run_sync(work)

    async def close(self) -> None:
        """There is nothing of its own."""


class InThread:
    """In one thread, one after the other, each of them one step of the event loop.

    A driver that hands every statement to a thread and back takes dozens of steps for one transaction. In a
    process that is busy, where each step comes after a turn of everybody else, the one writer of a file
    would be held for seconds, and none of that is the database's work.
    """

    def __init__(self, engine: Engine, end: Callable[[], None], seconds: float) -> None:
        """`engine`, which is used in that thread alone, is closed with this. `end` ends the statement that
        works, and may be called from any thread; `seconds` is the longest that one may work."""
        self._engine, self._end, self._seconds = engine, end, seconds
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="database")

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Whoever is cancelled does not know what became of it, and waits until the thread is free again."""
        running = asyncio.get_running_loop().run_in_executor(self._thread, self._transact, work)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            self._end()
            await asyncio.wait([running], timeout=self._seconds)
            running.add_done_callback(lambda done: done.cancelled() or done.exception())
            raise

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._engine.dispose)
        self._thread.shutdown(wait=False)

    def _transact(self, work: Callable[[Connection], T]) -> T:
        with self._engine.begin() as connection:
            return work(connection)

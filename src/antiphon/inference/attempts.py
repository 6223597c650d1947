"""What an engine begins and writes; if it fails before it has given anything, what another one does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Hashable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Any, TypeVar

from antiphon.errors import EngineFailed, EngineRefused, Unavailable
from antiphon.pools.pool import Lease, Pool

T = TypeVar("T")


@asynccontextmanager
async def begun(
    pool: Pool,
    begin: Callable[[Any, AsyncExitStack], Awaitable[T]],
    beginning: Hashable = None,
    deadline: asyncio.Timeout | None = None,
) -> AsyncIterator[tuple[Lease, T]]:
    """A lease for as long as the block runs, and what `begin` gives with its engine.

    If the engine fails at that, another of the pool is asked, once, unless it said that the request is at
    fault. What is put on the stack ends with the lease.
    """
    async with AsyncExitStack() as held:
        lease = held.enter_context(pool.acquire(beginning, deadline=deadline))
        try:
            made = await begin(lease.engine, held)
        except EngineFailed as problem:
            if isinstance(problem, EngineRefused):
                raise
            lease.failed = True
            await held.aclose()
            lease = _another(held, pool, lease, beginning, problem)
            made = await begin(lease.engine, held)
        yield lease, made


async def attempted(
    pool: Pool, lease: Lease, write: Callable[[Any], AsyncGenerator[T, None]], beginning: Hashable = None
) -> AsyncGenerator[T, None]:
    """The pieces that `write` gives with the leased engine, or with another of the pool.

    Nothing that a client may have seen is ever written twice: only what failed before its first piece is
    tried again, once, and not if the engine said that the request is at fault.
    """
    async with AsyncExitStack() as held:
        try:
            async with aclosing(write(lease.engine)) as pieces:
                async for piece in pieces:
                    lease.answered = True
                    yield piece
                return
        except EngineFailed as problem:
            if lease.answered or isinstance(problem, EngineRefused):
                raise
            failure = problem
        lease.failed = True
        other = _another(held, pool, lease, beginning, failure)
        async with aclosing(write(other.engine)) as pieces:
            async for piece in pieces:
                other.answered = True
                yield piece


def _another(
    held: AsyncExitStack, pool: Pool, lease: Lease, beginning: Hashable, failure: EngineFailed
) -> Lease:
    """Another engine than the leased one, held by the stack. Raises the failure of that if there is none."""
    try:
        return held.enter_context(pool.acquire(beginning, besides=lease, deadline=lease.deadline))
    except Unavailable:
        raise failure from None

"""What an engine begins and writes; if it fails, what another one does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Hashable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Any, Protocol, TypeVar

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


class GoesOn(Protocol[T]):
    """What follows a text that broke off."""

    @property
    def possible(self) -> bool: ...

    def saw(self, piece: T) -> None:
        """Told of every piece before it is given."""

    def pieces(self, engine: Any) -> AsyncGenerator[T, None]:
        """The rest, with another engine."""


async def attempted(
    pool: Pool,
    lease: Lease,
    write: Callable[[Any], AsyncGenerator[T, None]],
    beginning: Hashable = None,
    then: GoesOn[T] | None = None,
) -> AsyncGenerator[T, None]:
    """The pieces that `write` gives with the leased engine, or with another of the pool.

    Nothing that a client may have seen is ever written twice: what failed before its first piece is tried
    again, once, and what failed later is gone on with, as `then` does it, once. Neither if the engine said
    that the request is at fault.
    """
    async with AsyncExitStack() as held:
        try:
            async with aclosing(write(lease.engine)) as pieces:
                async for piece in pieces:
                    lease.answered = True
                    if then is not None:
                        then.saw(piece)
                    yield piece
                return
        except EngineFailed as problem:
            midway = lease.answered
            if isinstance(problem, EngineRefused) or (midway and (then is None or not then.possible)):
                raise
            failure = problem
        lease.failed = True
        other = _another(held, pool, lease, beginning, failure)
        if midway and other.fingerprint != lease.fingerprint:
            raise failure  # another version would go on with it otherwise
        rest = then.pieces(other.engine) if midway and then is not None else write(other.engine)
        async with aclosing(rest) as pieces:
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

"""What an engine writes; if it fails before it has written anything, what another one writes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Hashable
from contextlib import aclosing
from typing import cast

from antiphon.engines.base import ChatEngine
from antiphon.errors import EngineFailed, EngineRefused, Unavailable
from antiphon.pools.pool import Lease, Pool
from antiphon.values import Delta, Usage

Pieces = AsyncGenerator[Delta | Usage, None]


async def attempted(
    pool: Pool, lease: Lease, write: Callable[[ChatEngine], Pieces], beginning: Hashable = None
) -> Pieces:
    """The pieces that `write` gives with the leased engine, or with another of the pool.

    Nothing that a client may have seen is ever written twice: only what failed before its first piece is
    tried again, once, and not if the engine said that the request is at fault.
    """
    begun = False
    try:
        async with aclosing(write(cast(ChatEngine, lease.engine))) as pieces:
            async for piece in pieces:
                begun = True
                yield piece
            return
    except EngineFailed as problem:
        if begun or isinstance(problem, EngineRefused):
            raise
        failure = problem
    lease.failed = True
    try:
        with pool.acquire(beginning, besides=lease) as other:
            async with aclosing(write(cast(ChatEngine, other.engine))) as pieces:
                async for piece in pieces:
                    yield piece
    except Unavailable as problem:
        if isinstance(problem, EngineFailed):
            raise
        raise failure from None  # there is no other

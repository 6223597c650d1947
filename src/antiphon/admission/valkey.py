"""Counts in a Valkey that several gateway processes share, and in memory while it is away."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Self

from valkey.asyncio import Valkey as Client
from valkey.exceptions import ValkeyError

from antiphon.admission.buckets import standing, wants
from antiphon.admission.counters import Ask, Decision
from antiphon.admission.memory import Memory
from antiphon.breaker import Breaker
from antiphon.errors import ConfigurationError

_log = logging.getLogger(__name__)

SECONDS = 0.05
"""Longest that one question may take, with the connection it may need."""
LEASE_SECONDS = 25.0
"""After so long the places of a process that died count no more."""
_RENEWALS = 5
"""In the time of a lease."""
_CONNECTIONS = 32
_ASK, _RENEW = (Path(__file__).with_name(f"{name}.lua").read_text() for name in ("ask", "renew"))


class Valkey:
    """`Counters` on one Valkey, by its clock. Use it as `async with Valkey(url, local) as counters`.

    What it does not answer in time is decided by `local`, which holds this process's share of the limits.
    After three failures it is asked once a second, until it answers.
    """

    def __init__(
        self,
        url: str,
        local: Memory,
        *,
        seconds: float = SECONDS,
        lease: float = LEASE_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is opened yet; `ConfigurationError` if the address cannot be used."""
        try:
            self._client = Client.from_url(
                url, max_connections=_CONNECTIONS, socket_timeout=None, lib_name=None, lib_version=None
            )
            self._client.connection_pool.make_connection()  # which knows the options that there are
        except (ValueError, TypeError):
            raise ConfigurationError(
                "the address of Valkey cannot be read", fix="write valkey://host:6379/0, or leave it empty"
            ) from None
        self._ask = self._client.register_script(_ASK)
        self._renew = self._client.register_script(_RENEW)
        self._local = local
        self._seconds = seconds
        self._lease = lease
        self._monotonic = monotonic
        self._breaker = Breaker()
        self._turns = asyncio.Semaphore(_CONNECTIONS)
        self._places: dict[str, str] = {}
        """The running requests that hold a lease, each with its key."""
        self._renewing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._renewing = asyncio.create_task(self._renew_leases())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._renewing is not None
        self._renewing.cancel()
        with suppress(asyncio.CancelledError):
            await self._renewing
        await self._client.aclose()

    async def ask(self, ask: Ask) -> Decision:
        asked, most = wants(ask.limits, ask.demand), ask.limits.concurrent_requests
        arguments = [int(ask.binding), ask.place, most, self._lease]
        for want in asked:
            arguments += [want.meter.limit, want.limit, want.amount, int(want.meter.daily)]
        holds = bool(ask.place and most)
        if holds:
            self._places[ask.place] = ask.key
        keys = [_counts(ask.key), _leases(ask.key)]
        answer = await self._call(partial(self._ask, keys, arguments))
        if holds and not (answer and answer[0]):
            self._places.pop(ask.place, None)
        if answer is None:
            return await self._local.ask(ask)
        taken, crowded, day_left, *used = answer
        return Decision(
            taken=bool(taken),
            standing=tuple(
                standing(want, float(amount), float(day_left), got=bool(taken))
                for want, amount in zip(asked, used, strict=True)
            ),
            limits=ask.limits,
            crowded=bool(crowded),
            by=self,
        )

    async def leave(self, key: str, place: str) -> None:
        await self._local.leave(key, place)
        if self._places.pop(place, None) is not None:
            # Without an answer the lease ends by itself.
            await self._call(partial(self._client.zrem, _leases(key), place))

    async def _call(self, question: Callable[[], Awaitable[Any]]) -> Any:
        """What Valkey answers; None, within `seconds`, if it does not.

        The client gives up the connection of a question that is cancelled, so that no answer is ever taken
        for another question's.
        """
        if not self._breaker.allows(self._monotonic()):
            return None
        try:
            async with asyncio.timeout(self._seconds), self._turns:
                answer = await question()
        except (ValkeyError, OSError, TimeoutError) as problem:
            if self._breaker.failed(self._monotonic()):
                _log.warning(
                    "Valkey does not answer; limits are counted in memory (%s)", type(problem).__name__
                )
            return None
        if self._breaker.succeeded():
            _log.warning("Valkey answers again")
        return answer

    async def _renew_leases(self) -> None:
        while True:
            await asyncio.sleep(self._lease / _RENEWALS)
            if self._places:
                keys, arguments = map(_leases, self._places.values()), [self._lease, *self._places]
                await self._call(partial(self._renew, list(keys), arguments))


def _counts(key: str) -> str:
    return f"antiphon:counts:{{{key}}}"


def _leases(key: str) -> str:
    return f"antiphon:leases:{{{key}}}"

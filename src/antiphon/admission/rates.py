"""The rates of a request: asked when it comes, corrected when more is known of it."""

from __future__ import annotations

import math
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Literal

import msgspec

from antiphon.admission.buckets import Quota, Standing, longest_wait
from antiphon.admission.counters import Ask, Counters, Decision
from antiphon.admission.limits import Demand, Limits
from antiphon.errors import RateLimited
from antiphon.values import Caller

LimitsOf = Callable[[str, str | None], Awaitable[Limits]]
"""The limits in force of a project, by its id, with a snapshot; None: with instances of its own."""
Show = Callable[[Standing], None]
"""Told how the project stands, whenever that was found out: whether the request was let in or not."""


_OWN = "your dedicated instances"


def unseen(standing: Standing) -> None:
    """For who shows nobody how a project stands."""


class Place:
    """A request that was let in, and what it has taken so far."""

    def __init__(self, ask: Ask, snapshot: str, counters: Counters, advice: float, show: Show) -> None:
        self._asked, self._snapshot, self._counters = ask, snapshot, counters
        self._advice, self._show = advice, show
        self._tokens = 0

    async def enter(self) -> None:
        """Take what is known to be needed. Raises `RateLimited`; nothing is taken then."""
        decision = await self._ask(self._asked)
        # The others are asked where the first was answered: what is given back was taken there.
        self._counters = decision.by
        self._tokens = self._asked.demand.tokens

    async def correct(self, tokens: int) -> None:
        """The request is now known to take `tokens` in all; they count even where they pass the limit."""
        more, self._tokens = tokens - self._tokens, tokens
        limits = self._asked.limits
        if more and (limits.tokens_per_minute or limits.tokens_per_day):
            await self._more(Demand(requests=0, tokens=more), binding=False)

    async def take_audio(self, seconds: float) -> None:
        """The request is a recording of so many seconds. Raises `RateLimited` if they do not fit."""
        if self._asked.limits.audio_seconds_per_minute:
            await self._more(Demand(requests=0, audio_seconds=seconds), binding=True)

    async def _more(self, demand: Demand, *, binding: bool) -> None:
        await self._ask(msgspec.structs.replace(self._asked, demand=demand, place="", binding=binding))

    async def _ask(self, ask: Ask) -> Decision:
        decision = await self._counters.ask(ask)
        self._show(decision.standing)
        if not decision.taken:
            raise _refusal(decision, self._snapshot, self._advice)
        return decision


class Rates:
    """The rates of all projects, each with every snapshot on its own."""

    def __init__(self, limits: LimitsOf, counters: Counters) -> None:
        self._limits = limits
        self._counters = counters

    @asynccontextmanager
    async def enter(
        self, caller: Caller, snapshot: str | None, demand: Demand, advice: float, show: Show
    ) -> AsyncIterator[Place]:
        """Let a request in, which counts as running for as long as the block runs. Raises `RateLimited`.

        With no `snapshot` it goes to an instance of its organization's own. `advice`: seconds after which one
        of those that run is likely to have ended.
        """
        limits = await self._limits(caller.project_id, snapshot)
        key, id = f"{caller.project_id}/{snapshot or ''}", secrets.token_hex(8)
        ask = Ask(key=key, limits=limits, demand=demand, place=id)
        place = Place(ask, snapshot or _OWN, self._counters, advice, show)
        try:
            await place.enter()
            yield place
        finally:
            if limits.concurrent_requests:
                await self._counters.leave(key, id)


def _refusal(decision: Decision, snapshot: str, advice: float) -> RateLimited:
    full = longest_wait(decision.standing)
    if full is None:
        return RateLimited(
            f"Too many requests at once for {snapshot}: limit {decision.limits.concurrent_requests}. "
            f"Please try again in {_seconds(advice)}.",
            retry_after=advice,
        )
    kind: Literal["requests", "tokens"] = "tokens" if full.meter.counts == "tokens" else "requests"
    what = full.meter.limit.replace("_", " ")
    if math.isinf(full.wait):
        return RateLimited(
            f"Request too large for {snapshot} on {what}: limit {full.limit}, requested "
            f"{_number(full.requested)}. It will not fit later either.",
            type=kind,
            should_retry=False,
        )
    return RateLimited(
        f"Rate limit reached for {snapshot} on {what}: {_used(full)}. "
        f"Please try again in {_seconds(full.wait)}.",
        type=kind,
        retry_after=full.wait,
    )


def _used(quota: Quota) -> str:
    return f"limit {quota.limit}, used {_number(quota.used)}, requested {_number(quota.requested)}"


def _number(amount: float) -> str:
    return f"{amount:.1f}".removesuffix(".0")


def _seconds(seconds: float) -> str:
    """Rounded up to a millisecond."""
    return f"{math.ceil(seconds * 1000) / 1000:.3f}".rstrip("0").rstrip(".") + "s"

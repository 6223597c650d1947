"""The gate that every request passes: its project's rates, then a bounded and fair wait for an engine."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

import msgspec

from antiphon.admission.counters import Counters
from antiphon.admission.limits import Demand, Limits, installed
from antiphon.admission.memory import Memory
from antiphon.admission.queue import Company, Queue
from antiphon.admission.rates import LimitsOf, Place, Rates, Show, unseen
from antiphon.errors import RateLimited, Unavailable
from antiphon.settings import Settings
from antiphon.spans import span
from antiphon.values import Caller

_FIRST_GUESS = 2.0
"""Seconds a request is taken to last before any has been seen."""
_ONE_REQUEST = Demand()
COMPANY_SECONDS = 60.0
"""So long after another organization asked for a deployment, nobody counts as alone there."""


def _same(limits: Limits) -> LimitsOf:
    """The same limits for every project and snapshot; none for instances of their own."""

    async def limits_of(project_id: str, snapshot: str | None) -> Limits:
        return Limits() if snapshot is None else limits

    return limits_of


class Ticket:
    """One request at the gate: `admitted` is set once it may run, with `weight` places."""

    def __init__(self) -> None:
        self.admitted = asyncio.Event()
        self.weight = 0


class WaitStanding(msgspec.Struct, frozen=True):
    """How an organization stands against the bound of waiting requests."""

    limit: int
    remaining: int


class Gate:
    """Rates and queues of this process. `clock` is monotonic.

    `limits` says what a project may do with a snapshot, by default what the settings say; `counters` is where
    that is counted, by default in memory.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Callable[[], float] = time.monotonic,
        limits: LimitsOf | None = None,
        counters: Counters | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._rates = Rates(
            limits or _same(installed(settings)), Memory(monotonic=clock) if counters is None else counters
        )
        self._queues: dict[str, Queue[Ticket]] = {}
        self._capacities: dict[str, Callable[[], int]] = {}
        self._greed: dict[str, int | None] = {}
        self._company: dict[str, Company] = {}
        """Of the deployments where it counts."""
        self._apart: set[str] = set()
        """Deployments of which each serves one organization: their lines are nobody else's business."""
        self._coming: Counter[str] = Counter()
        """Places of each deployment for requests that were sent there, and whose rates are looked at."""
        self._lasting: dict[str, float] = {}
        self.on_wait: Callable[[str, float], None] = lambda deployment, seconds: None
        """Called with how long each request waited that was let in."""

    def room(self, caller: Caller) -> WaitStanding:
        """How many requests of the caller's organization may still wait."""
        limit = self._settings.queue_per_organization
        waiting = sum(q.waiting(caller.organization_id) for q in self._queues.values())
        return WaitStanding(limit, max(0, limit - waiting))

    def waiting(self) -> Mapping[str, int]:
        """Requests that wait, by deployment."""
        return {name: len(queue) for name, queue in self._queues.items()}

    def free(self, deployment: str, capacity: int) -> int:
        """Places that nobody holds or is on the way to, of so many; below 0 where that are more."""
        queue = self._queues.get(deployment)
        return capacity - self._coming[deployment] - (0 if queue is None else queue.running)

    def expect(self, caller: Caller, deployments: Collection[tuple[str, int]]) -> None:
        """Raise as `enter` would if a request would have to wait, and may not, whichever of these it is for.

        Each is told with the places that it has. It is for what costs much to receive.
        """
        busy = [
            (name, queue)
            for name, places in deployments
            if (queue := self._queues.get(name)) is not None and self._waits(caller, queue, places)
        ]
        if busy and len(busy) == len(deployments):
            self._refuse(caller, *busy[0], 1)

    @asynccontextmanager
    async def enter(
        self,
        caller: Caller,
        deployment: str,
        capacity: Callable[[], int],
        weight: int = 1,
        demand: Demand = _ONE_REQUEST,
        show: Show = unseen,
        greed: int | None = None,
        courteous: bool = False,
        rated_as: str | None = "",
    ) -> AsyncIterator[Place]:
        """Hold `weight` of the places that `capacity()` counts, for as long as the block runs.

        `rated_as` is what the project's limits are set for, if that is not the deployment's own name; None
        where they do not count, since the deployment serves one organization alone: there is a limit while
        that is throttled, and none else. How many wait there is bounded for itself.

        `greed` bounds what an organization may hold, and so does company where one is `courteous`: see
        `queue`. Both are always the same for one deployment.

        `demand` is what is known by now of what the request takes; the `Place` is told what is found out
        later. `show` learns how the project stands against its limits. Raises `RateLimited` or `Unavailable`
        at once when a bound is passed, `Unavailable` after `queue_seconds`.
        """
        queue = self._queues.setdefault(deployment, Queue())
        self._capacities[deployment], self._greed[deployment] = capacity, greed
        if courteous:
            self._company.setdefault(deployment, Company())
        advice = self._predicted(deployment, queue)
        rated = deployment if rated_as == "" else rated_as
        if rated is None:
            self._apart.add(deployment)
        if self._waits(caller, queue, capacity()):
            # It would have to wait. Whether it may is known before anything is counted, or Valkey is asked.
            self._refuse(caller, deployment, queue, 1)
        places = min(weight, capacity())
        rates = self._rates.enter(caller, rated, demand, advice, show)
        async with self._coming_to(deployment, places, rates) as place:
            ticket = Ticket()
            try:
                came = self._clock()
                with span("admission", deployment=deployment):
                    self._line_up(ticket, caller, deployment, queue, weight)
                    await self._wait(ticket, deployment, queue)
                began = self._clock()
                self.on_wait(deployment, began - came)
                yield place
                self._learn(deployment, self._clock() - began)
            finally:
                if ticket.weight:
                    queue.leave(caller.organization_id, ticket.weight)
                else:
                    queue.remove(caller.organization_id, ticket)
                self.pump(deployment)
                if not ticket.weight:
                    await place.correct(0)  # no engine has seen it

    @asynccontextmanager
    async def _coming_to(
        self, deployment: str, places: int, rates: AbstractAsyncContextManager[Place]
    ) -> AsyncIterator[Place]:
        """The rates of a request, which counts as on the way until it is known whether they let it in.

        Else all that come meanwhile would be sent to the same last place.
        """
        async with AsyncExitStack() as stack:
            self._coming[deployment] += places
            try:
                place = await stack.enter_async_context(rates)
            finally:
                self._coming[deployment] -= places
            yield place

    def pump(self, deployment: str) -> None:
        """Admit whoever may go now. Called when a place is given back, and when the capacity changes."""
        queue = self._queues.get(deployment)
        if queue is None:
            return
        greed, company = self._greed[deployment], self._company.get(deployment)
        if company is not None:
            company.turn(self._clock())
        while entry := queue.next(self._capacities[deployment](), greed, company):
            ticket, weight = entry
            ticket.weight = weight
            ticket.admitted.set()

    def _line_up(
        self, ticket: Ticket, caller: Caller, deployment: str, queue: Queue[Ticket], weight: int
    ) -> None:
        """Let a ticket in, or wait. Raises if too many wait already; whoever called removes it then."""
        queue.add(caller.organization_id, ticket, weight)
        if (company := self._company.get(deployment)) is not None:
            company.see(caller.organization_id, queue.wanted(caller.organization_id), self._clock())
        self.pump(deployment)
        if ticket.admitted.is_set():
            return
        self._refuse(caller, deployment, queue)

    def _waits(self, caller: Caller, queue: Queue[Ticket], places: int) -> bool:
        """Whether one more of the caller's would have to wait."""
        return queue.running >= places or queue.waiting(caller.organization_id) > 0

    def _refuse(self, caller: Caller, deployment: str, queue: Queue[Ticket], more: int = 0) -> None:
        """Raise if too many wait, or would with so many `more`."""
        mine = sum(q.waiting(caller.organization_id) for q in self._queues.values()) + more
        together = [q for name, q in self._queues.items() if name not in self._apart]
        everyone = sum(map(len, [queue] if deployment in self._apart else together)) + more
        advice = self._predicted(deployment, queue, more)
        if mine > self._settings.queue_per_organization:
            raise RateLimited(
                f"Too many requests of your organization are waiting (limit "
                f"{self._settings.queue_per_organization}). Please try again later.",
                retry_after=advice,
            )
        if everyone > self._settings.queue_total:
            raise Unavailable("The server is overloaded. Please try again later.", retry_after=advice)

    async def _wait(self, ticket: Ticket, deployment: str, queue: Queue[Ticket]) -> None:
        if ticket.admitted.is_set():
            return
        try:
            async with asyncio.timeout(self._settings.queue_seconds):
                await ticket.admitted.wait()
        except TimeoutError:
            raise Unavailable(
                "No engine became free in time. Please try again later.",
                retry_after=self._predicted(deployment, queue),
            ) from None

    def _predicted(self, deployment: str, queue: Queue[Ticket], more: int = 0) -> float:
        """Seconds until a request that came now would run, at the pace of those seen before."""
        places = max(1, self._capacities[deployment]())
        return max(1.0, (len(queue) + more) / places * self._lasting.get(deployment, _FIRST_GUESS))

    def _learn(self, deployment: str, seconds: float) -> None:
        before = self._lasting.get(deployment, seconds)
        self._lasting[deployment] = before + 0.1 * (seconds - before)

"""Counts in the memory of this process."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from antiphon.admission.buckets import DAY, Count, Moment, current, fits, standing, taken, wants
from antiphon.admission.counters import Ask, Decision
from antiphon.admission.limits import shared

MOST_KEYS = 100_000
"""Projects with snapshots remembered at once; of the longest unused it is forgotten what they took."""


class Memory:
    """`Counters` of one process, which may be one of several that share the limits.

    Rates follow `monotonic`; `clock` (unix seconds) only names the day.
    """

    def __init__(
        self,
        processes: int = 1,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._processes = processes
        self._monotonic = monotonic
        self._clock = clock
        self._counts: OrderedDict[str, dict[str, Count]] = OrderedDict()
        self._places: dict[str, set[str]] = {}

    async def ask(self, ask: Ask) -> Decision:
        return self._decide(ask)

    async def leave(self, key: str, place: str) -> None:
        places = self._places.get(key, set())
        places.discard(place)
        if not places:
            self._places.pop(key, None)

    def _decide(self, ask: Ask) -> Decision:
        limits = shared(ask.limits, self._processes)
        moment, asked = self._moment(), wants(limits, ask.demand)
        known = self._counts.get(ask.key, {})
        counts = [current(known.get(want.meter.limit, Count()), want, moment) for want in asked]
        crowded = self._crowded(ask, limits.concurrent_requests)
        takes = not ask.binding or (not crowded and all(map(fits, counts, asked)))
        if takes:
            counts = list(map(taken, counts, asked))
            self._keep(ask.key, {want.meter.limit: count for want, count in zip(asked, counts, strict=True)})
            if ask.place and limits.concurrent_requests:
                self._places.setdefault(ask.key, set()).add(ask.place)
        return Decision(
            taken=takes,
            standing=tuple(
                standing(want, count.used, moment.day_left, got=takes)
                for want, count in zip(asked, counts, strict=True)
            ),
            limits=limits,
            crowded=crowded,
            by=self,
        )

    def _crowded(self, ask: Ask, limit: int) -> bool:
        return bool(ask.place and limit) and len(self._places.get(ask.key, ())) >= limit

    def _keep(self, key: str, counts: dict[str, Count]) -> None:
        self._counts[key] = self._counts.get(key, {}) | counts
        self._counts.move_to_end(key)
        if len(self._counts) > MOST_KEYS:
            self._counts.popitem(last=False)

    def _moment(self) -> Moment:
        day, passed = divmod(self._clock(), DAY)
        return Moment(self._monotonic(), int(day), DAY - passed)

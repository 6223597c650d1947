"""Keys that are suddenly used many times as much as usual: found in the ledger's rollups, told as flags."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, NoReturn

from sqlalchemy import Connection, func, select

from antiphon.errors import AntiphonError
from antiphon.moderation.monitor import Seen
from antiphon.moderation.policy import RATE, Found
from antiphon.storage.database import Database
from antiphon.storage.ledger_tables import usage_rollup
from antiphon.values import Caller

RECENT_SECONDS = 300
USUAL_DAYS = 7
LEAST_USUAL = 50
"""Requests in the days before that a key must have: one that is new has no usual rate."""
LEAST_RECENT = 100
"""Requests in the last minutes that are worth telling of, whatever was usual."""
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_LOOK = 60.0

log = logging.getLogger(__name__)


class Busy(NamedTuple):
    """A key and what it did: `factor` times its usual rate, which is that of its hours of use."""

    organization_id: str
    project_id: str
    key_id: str
    requests: int
    factor: float


class Anomalies:
    """`factor`: from how many times the usual rate on; `act` raises flags; `clock` in unix seconds."""

    def __init__(
        self,
        database: Database,
        act: Callable[[Seen], Awaitable[Any]],
        factor: float,
        clock: Callable[[], float],
    ) -> None:
        self._database = database
        self._act = act
        self._factor = factor
        self._clock = clock

    async def run(self) -> NoReturn:
        """Until cancelled; a complaint of the database is logged once."""
        complaint = ""
        while True:
            await asyncio.sleep(_LOOK)
            try:
                await self.look()
                complaint = ""
            except AntiphonError as problem:
                if str(problem) != complaint:
                    complaint = str(problem)
                    log.warning("the use of keys is not watched: %s", problem)

    async def look(self) -> None:
        """Flag every key that is far above its usual rate now: once an hour, whichever server sees it."""
        now = int(self._clock())
        async with self._database.connect() as connection:
            found = await connection.run_sync(busy, self._factor, now)
        for one in found:
            await self._act(_seen(one, now - now % _HOUR))


def busy(connection: Connection, factor: float, now: int) -> list[Busy]:
    """The keys that are used at least `factor` times as much as in their usual hours of use."""
    recent = _requests(connection, _MINUTE, now - now % _MINUTE - RECENT_SECONDS, now + 1)
    wanted = {place: sums for place, sums in recent.items() if sums[0] >= LEAST_RECENT}
    if not wanted:
        return []
    hour = now - now % _HOUR
    usual = _requests(connection, _HOUR, hour - USUAL_DAYS * _DAY, hour, keys=[place[2] for place in wanted])
    found = []
    for place, (requests, _) in wanted.items():
        before, hours = usual.get(place, (0, 0))
        if before >= LEAST_USUAL:
            times = (requests / RECENT_SECONDS) / (before / hours / _HOUR)
            if times >= factor:
                found.append(Busy(*place, requests, times))
    return found


def _requests(
    connection: Connection, width: int, since: int, until: int, keys: list[str] | None = None
) -> dict[tuple[str, str, str], tuple[int, int]]:
    """Requests of each key, and in how many stretches of `width` there were any."""
    place = [usage_rollup.c[name] for name in ("organization_id", "project_id", "key_id")]
    query = (
        select(*place, func.sum(usage_rollup.c.requests), func.count(usage_rollup.c.start.distinct()))
        .where(usage_rollup.c.width == width, usage_rollup.c.start >= since, usage_rollup.c.start < until)
        .group_by(*place)
    )
    if keys is not None:
        query = query.where(usage_rollup.c.key_id.in_(keys))
    return {(row[0], row[1], row[2]): (int(row[3]), int(row[4])) for row in connection.execute(query)}


def _seen(one: Busy, hour: int) -> Seen:
    return Seen(
        request_id=None,
        caller=Caller(
            key_id=one.key_id, project_id=one.project_id, organization_id=one.organization_id, organization=""
        ),
        snapshot="",
        findings=[Found("usage", RATE, 1.0, "rates")],
        detail=f"{one.factor:.0f} times the usual rate: {one.requests} requests in {RECENT_SECONDS} s",
        at=float(hour),
    )

"""Requests counted by minute in memory, and written in batches: what is lost with a process is seconds."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NoReturn

from sqlalchemy import Connection

from antiphon.errors import AntiphonError
from antiphon.status.outcomes import PROBES, Api, Ended, Objectives, api_of, outcome
from antiphon.storage import sql
from antiphon.storage.database import Database
from antiphon.storage.tables import status_minute

MINUTE = 60
SERVICE = "service"
"""In the place of an API: that a process lived."""
FLUSH_SECONDS = 5.0
MOST = 10_000
"""Minutes of APIs that are kept while the database is away: those of more than a day."""

_log = logging.getLogger(__name__)
Key = tuple[str, int]
"""API, and the unix second at which the minute begins."""


class Counter:
    """The counts of this process. `clock` in unix seconds."""

    def __init__(self, objectives: Objectives, clock: Callable[[], float]) -> None:
        self._objectives = objectives
        self._clock = clock
        self._counts: dict[Key, list[int]] = {}
        self._alive = 0

    def count(self, ended: Ended, organization_id: str) -> None:
        """A request is over. Probes are counted by who sent them, who knows what they should have got."""
        api = api_of(ended.route)
        if api is None or organization_id == PROBES:
            return
        found = outcome(ended, api, self._objectives)
        if found in ("good", "slow", "failed"):
            self.note(api, good=found == "good")

    def note(self, api: Api, *, good: bool) -> None:
        """Count one."""
        self._add((api, self._minute()), int(good), int(not good))

    def live(self) -> None:
        """This process can be asked: once a minute that is worth a row."""
        minute = self._minute()
        if minute != self._alive:
            self._alive = minute
            self._add((SERVICE, minute), 1, 0)

    def take(self) -> Mapping[Key, Sequence[int]]:
        """What was counted since the last call."""
        counts, self._counts = self._counts, {}
        return counts

    def give_back(self, counts: Mapping[Key, Sequence[int]]) -> None:
        """What could not be written; the oldest is forgotten when it is too much."""
        for key, (good, bad) in counts.items():
            self._add(key, good, bad)
        for key in sorted(self._counts, key=lambda key: key[1])[: max(0, len(self._counts) - MOST)]:
            del self._counts[key]

    def _add(self, key: Key, good: int, bad: int) -> None:
        sums = self._counts.setdefault(key, [0, 0])
        sums[0] += good
        sums[1] += bad

    def _minute(self) -> int:
        now = int(self._clock())
        return now - now % MINUTE


def write(connection: Connection, counts: Mapping[Key, Sequence[int]]) -> None:
    """Add counts to those of all processes."""
    rows: list[dict[str, Any]] = [
        {"api": api, "start": start, "good": good, "bad": bad} for (api, start), (good, bad) in counts.items()
    ]
    sql.add(connection, status_minute, rows, ("good", "bad"))


async def flush(counter: Counter, database: Database) -> None:
    """Write what was counted; what the database does not take is kept for the next time.

    Cancelled, it ends this first: what is half written must not be counted twice, nor be lost.
    """
    writing = asyncio.create_task(_flush(counter, database))
    try:
        await asyncio.shield(writing)
    except asyncio.CancelledError:
        await asyncio.wait([writing])
        raise


async def _flush(counter: Counter, database: Database) -> None:
    counts = counter.take()
    if not counts:
        return
    try:
        await database.run(partial(write, counts=counts))
    except AntiphonError:
        counter.give_back(counts)
        raise


async def keep(counter: Counter, database: Database, *, serves: bool) -> NoReturn:
    """Write again and again, until cancelled. `serves`: whether this process answers requests itself."""
    complaint = ""
    while True:
        if serves:
            counter.live()
        try:
            await flush(counter, database)
            complaint = ""
        except AntiphonError as problem:
            if str(problem) != complaint:
                complaint = str(problem)
                _log.warning("what requests came to is not written: %s", problem)
        await asyncio.sleep(FLUSH_SECONDS)

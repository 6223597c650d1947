"""Watches how requests are answered: adds minutes up, keeps incidents of alerts. One of all processes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import NoReturn

from antiphon.access.tenancy import default_organization
from antiphon.status import rolling, watching
from antiphon.status.counting import Counter, flush
from antiphon.status.incidents import Incident
from antiphon.storage import audit, leases
from antiphon.storage.database import Database

LEASE_SECONDS = 30
PRUNE_SECONDS = 3600
_LOOK = 5.0

log = logging.getLogger(__name__)


class Watcher:
    """`holder` is this process among all over the database; `objective` in percent, `clock` in unix seconds.

    What `counter` holds is written first.
    """

    def __init__(
        self, database: Database, counter: Counter, objective: float, holder: str, clock: Callable[[], float]
    ) -> None:
        self._database = database
        self._counter = counter
        self._objective = objective
        self._holder = holder
        self._clock = clock
        self._watched = self._pruned = 0

    async def run(self) -> NoReturn:
        """Until cancelled. What cannot be done now is tried again; a complaint is logged once."""
        complaint = ""
        while True:
            try:
                await self.look()
                complaint = ""
            except Exception as problem:  # whatever it is: nobody else watches
                told = str(problem) or type(problem).__name__
                if told != complaint:
                    complaint = told
                    log.warning("nobody watches how requests are answered: %s", told)
            await asyncio.sleep(_LOOK)

    async def look(self) -> None:
        """Once a minute, if no other process does."""
        now = int(self._clock())
        await flush(self._counter, self._database)
        take = partial(leases.take, job="watch", holder=self._holder, now=now, seconds=LEASE_SECONDS)
        if not await self._database.run(take):
            self._watched = 0
            return
        minute = (now - watching.SETTLE_SECONDS) // 60
        if minute == self._watched:
            return
        whole = await self._database.run(partial(rolling.roll, now=now))
        watch = partial(watching.watch, objective=self._objective, now=now)
        for one in await self._database.run(watch):
            await self._note(one, now)
        if whole:
            self._watched = minute
        if now - self._pruned >= PRUNE_SECONDS:
            await self._database.run(partial(rolling.prune, now=now))
            self._pruned = now

    async def _note(self, incident: Incident, now: int) -> None:
        over = incident.resolved_at is not None
        (log.info if over else log.error)("%s: %s", incident.title, incident.notes[-1].text)
        type = f"incident.{incident.notes[-1].event}"
        payload = {"id": incident.id, "data": {"title": incident.title, "api": incident.api, "by": "alert"}}
        async with self._database.begin() as connection:
            organization_id = await default_organization(connection, now)
            await audit.record(connection, type, payload, organization_id=organization_id, by=None, now=now)

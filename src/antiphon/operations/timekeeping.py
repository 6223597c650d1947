"""Keeps time for dedicated instances, where engines run: notes who is ready, and bills the hours."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from functools import partial

from sqlalchemy import Connection, select

from antiphon.errors import AntiphonError
from antiphon.ledger import credits, time_charges
from antiphon.ledger.instances import Readiness, Replica
from antiphon.ledger.time_charges import TimeCharge
from antiphon.operations.dedicated import Dedicated
from antiphon.pools import machines
from antiphon.runtime.base import Runtime
from antiphon.storage.database import Database
from antiphon.storage.tables import dedicated_instance, organization

_LOOK = 1.0
_NOTE = 10.0
"""Seconds after which it is noted that nothing has changed."""
_BILL = 60.0

log = logging.getLogger(__name__)


class Timekeeper:
    """`ready` gives the replicas that would serve a request now, `clock` unix seconds."""

    def __init__(
        self,
        database: Database,
        runtime: Runtime,
        dedicated: Dedicated,
        ready: Callable[[], Collection[Replica]],
        clock: Callable[[], float],
    ) -> None:
        self._database = database
        self._runtime = runtime
        self._dedicated = dedicated
        self._ready = ready
        self._clock = clock
        self._readiness = Readiness()
        self._noted = self._billed = 0.0

    async def run(self) -> None:
        """Until cancelled. What cannot be written now is tried again, and a complaint is logged once."""
        complaint = ""
        while True:
            try:
                await self.look()
                complaint = ""
            except (AntiphonError, OSError) as problem:
                if str(problem) != complaint:
                    complaint = str(problem)
                    log.warning("the time of instances is not kept: %s", problem)
            await asyncio.sleep(_LOOK)

    async def look(self) -> None:
        """Note and bill what is to be noted and billed now."""
        now = self._clock()
        ready = self._ready()
        if self._readiness.changed(ready) or now - self._noted >= _NOTE:
            async with self._database.begin() as connection:
                await connection.run_sync(partial(self._readiness.note, ready=ready, now=int(now)))
            self._noted = now
        if now - self._billed >= _BILL:
            there = await self._runtime.machines()
            async with self._database.begin() as connection:
                await connection.run_sync(partial(machines.tell, machines=there, now=int(now)))
                posted = await connection.run_sync(partial(time_charges.bill, now=int(now)))
                spent = await connection.run_sync(partial(_spent, posted=posted))
            for organization_id, id in spent:
                log.warning("the instance %s is ended: what was paid in advance is spent", id)
                await self._dedicated.end(organization_id, id, by=None)
            self._billed = now


def _spent(connection: Connection, posted: Collection[TimeCharge]) -> list[tuple[str, str]]:
    """The instances of organizations that were charged just now and have nothing left that they paid in
    advance: each with whose it is."""
    charged = {charge.organization_id for charge in posted}
    columns = dedicated_instance.c
    query = select(columns.organization_id, columns.id).join(organization)
    query = query.where(organization.c.prepaid, columns.organization_id.in_(charged))
    running = connection.execute(query.where(columns.ends_at.is_(None) | (columns.ends_at > 0))).tuples()
    left = {id: credits.balance(connection, id).left for id in charged}
    return [(owner, id) for owner, id in running if left[owner] <= 0]

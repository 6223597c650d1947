"""Keeps time for dedicated instances, where engines run: notes who is ready, and bills the hours."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from functools import partial

from sqlalchemy import Connection, select

from antiphon.ledger import credits, time_charges
from antiphon.ledger.instances import Readiness, Replica
from antiphon.operations.dedicated import Dedicated
from antiphon.pools import machines
from antiphon.runtime.base import Runtime
from antiphon.storage.database import Database
from antiphon.storage.tables import dedicated_instance, organization, time_charge

_LOOK = 1.0
_NOTE = 10.0
"""Seconds after which it is noted that nothing has changed."""
_BILL = 60.0
_ANSWER = 30.0
"""Seconds that a cluster has to say which machines it has."""

log = logging.getLogger(__name__)


class Timekeeper:
    """Of this `server`. `ready` gives the replicas that would serve a request now, `clock` unix seconds."""

    def __init__(
        self,
        database: Database,
        runtime: Runtime,
        dedicated: Dedicated,
        ready: Callable[[], Collection[Replica]],
        clock: Callable[[], float],
        *,
        server: str,
    ) -> None:
        self._database = database
        self._runtime = runtime
        self._dedicated = dedicated
        self._ready = ready
        self._clock = clock
        self._server = server
        self._readiness = Readiness()
        self._noted = self._billed = 0.0
        self._began: float | None = None

    async def run(self) -> None:
        """Until cancelled. What cannot be done now is tried again; a complaint is logged once."""
        await asyncio.gather(
            _repeated(self.look, _LOOK, "the time of instances is not kept"),
            _repeated(self.tell, _BILL, "it is not told which machines there are, and nothing can be sold"),
        )

    async def look(self) -> None:
        """Note and bill what is to be noted and billed now."""
        now = self._clock()
        ready = self._ready()
        if self._readiness.changed(ready) or now - self._noted >= _NOTE:
            async with self._database.begin() as connection:
                await connection.run_sync(partial(self._readiness.note, ready=ready, now=int(now)))
            self._noted = now
        if now - self._billed >= _BILL:
            async with self._database.begin() as connection:
                posted = await connection.run_sync(partial(time_charges.bill, now=int(now)))
                spent = await connection.run_sync(partial(_spent, now=int(now)))
            for organization_id, id in spent:
                log.warning("the instance %s is ended: what was paid in advance is spent", id)
                await self._dedicated.end(organization_id, id, by=None)
            if len(posted) < time_charges.MOST:  # else there is more: others write first
                self._billed = now

    async def tell(self) -> None:
        """Say what there is where engines run, and take over what a server that is gone was to run."""
        # Of its own, since it asks a cluster, which may be silent: meanwhile time goes on.
        async with asyncio.timeout(_ANSWER):
            there = await self._runtime.machines()
        now = self._clock()
        async with self._database.begin() as connection:
            await connection.run_sync(machines.tell, self._server, there, int(now))
        if self._began is None:
            self._began = now
        # Servers that begin together, as after a power cut, are given time to be heard of.
        if now - self._began >= machines.FORGOTTEN:
            for id in await self._dedicated.adopt(self._server):
                log.warning("the instance %s runs here now: nothing was heard of its server", id)


async def _repeated(work: Callable[[], Awaitable[None]], seconds: float, failing: str) -> None:
    complaint = ""
    while True:
        try:
            await work()
            complaint = ""
        except Exception as problem:  # whatever it is: nobody else bills
            told = str(problem) or type(problem).__name__
            if told != complaint:
                complaint = told
                log.warning("%s: %s", failing, told)
        await asyncio.sleep(_LOOK if complaint else seconds)


def _spent(connection: Connection, now: int) -> list[tuple[str, str]]:
    """The instances that run, were charged for, and whose organizations have nothing left that they paid in
    advance: each with whose it is."""
    columns = dedicated_instance.c
    paid = (time_charge.c.instance_id == columns.id) & (time_charge.c.charged > 0)
    charged = select(time_charge.c.id).where(paid).exists()
    query = (
        select(columns.organization_id, columns.id)
        .join(organization)
        .where(
            organization.c.prepaid,
            columns.begins_at <= now,
            columns.ends_at.is_(None) | (columns.ends_at > now),
            charged,
        )
    )
    running = [tuple(row) for row in connection.execute(query)]
    left = {id: credits.balance(connection, id).unspent for id in {owner for owner, _ in running}}
    return [(owner, id) for owner, id in running if left[owner] <= 0]

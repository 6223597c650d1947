"""What changes while servers run: what aliases mean, when snapshots end, and which instances there are."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date
from functools import partial
from typing import Any

import msgspec
from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from antiphon.catalogue.entries import Ending, Switch
from antiphon.catalogue.instances import Instance, instances
from antiphon.errors import NotFound
from antiphon.storage import audit
from antiphon.storage.database import Database
from antiphon.storage.ids import ordered_id
from antiphon.storage.tables import alias_switch, snapshot_ending
from antiphon.values import Caller

Changed = tuple[tuple[Switch, ...], tuple[Ending, ...], tuple[Instance, ...]]


class Changes:
    """The changes in the database. `by` is who asks; None is the operator's command line."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    async def all(self) -> Changed:
        """Every change, of the switches the earliest announced first; no instances that are over."""
        async with self._database.connect() as connection:
            switches = await connection.execute(select(alias_switch).order_by(alias_switch.c.id))
            endings = await connection.execute(select(snapshot_ending).order_by(snapshot_ending.c.snapshot))
            sold = await connection.run_sync(partial(instances, after=int(self._clock())))
            return (
                tuple(Switch(**row._mapping) for row in switches),
                tuple(_ending(row) for row in endings),
                tuple(sold),
            )

    async def switch(
        self, alias: str, snapshot: str, at: int | None = None, notes: str = "", *, by: Caller | None = None
    ) -> Switch:
        """Let an alias mean a snapshot from a moment on, by default this one."""
        now = self._clock()
        made = Switch(
            id=ordered_id("switch-", now),
            alias=alias,
            snapshot=snapshot,
            at=int(now) if at is None else at,
            notes=notes,
            announced_at=int(now),
        )
        async with self._database.begin() as connection:
            values = msgspec.structs.asdict(made)
            await connection.execute(insert(alias_switch).values(values))
            await self._record(connection, "model.switch.created", {"id": made.id, "data": values}, by)
        return made

    async def cancel(self, id: str, *, by: Caller | None = None) -> None:
        """Call off a switch. Raises `NotFound` for one that is not there, or has happened."""
        gone = delete(alias_switch).where(alias_switch.c.id == id, alias_switch.c.at > int(self._clock()))
        async with self._database.begin() as connection:
            if not (await connection.execute(gone)).rowcount:
                raise NotFound(f"There is no switch '{id[:200]}' to come.")
            await self._record(connection, "model.switch.deleted", {"id": id}, by)

    async def end(self, ending: Ending, *, by: Caller | None = None) -> None:
        """Let a snapshot end on a day; what was said of its end before does not count any more."""
        values = msgspec.to_builtins(ending)
        async with self._database.begin() as connection:
            await connection.execute(
                delete(snapshot_ending).where(snapshot_ending.c.snapshot == ending.snapshot)
            )
            await connection.execute(insert(snapshot_ending).values(values))
            await self._record(connection, "model.end.created", {"id": ending.snapshot, "data": values}, by)

    async def keep(self, snapshot: str, *, by: Caller | None = None) -> None:
        """Call off the end of a snapshot. Raises `NotFound` if none was said here."""
        gone = delete(snapshot_ending).where(snapshot_ending.c.snapshot == snapshot)
        async with self._database.begin() as connection:
            if not (await connection.execute(gone)).rowcount:
                raise NotFound(f"No end of '{snapshot[:200]}' was announced.")
            await self._record(connection, "model.end.deleted", {"id": snapshot}, by)

    async def _record(
        self, connection: AsyncConnection, type: str, payload: dict[str, Any], by: Caller | None
    ) -> None:
        # Only operators change what models mean.
        await audit.record(connection, type, payload, organization_id=None, by=by, now=self._clock())


def _ending(row: Any) -> Ending:
    return Ending(
        snapshot=row.snapshot,
        deprecated=date.fromisoformat(row.deprecated),
        shutdown=date.fromisoformat(row.shutdown),
        replacement=row.replacement,
    )

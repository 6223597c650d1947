"""Incidents as people keep them: each change is one transaction, with its row in the audit log."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from sqlalchemy import Connection

from antiphon.access.tenancy import default_organization
from antiphon.status import incidents, report
from antiphon.status.incidents import Incident, New
from antiphon.storage import audit
from antiphon.storage.database import Database
from antiphon.values import Caller
from antiphon.wire.status import Status


class Incidents:
    """`by` is who asks; None is the operator's command line. `objective` in percent, `clock` in unix seconds.

    `NotFound` is raised for an incident that does not exist, `InvalidRequest` for what cannot be shown.
    """

    def __init__(self, database: Database, objective: float, clock: Callable[[], float]) -> None:
        self._database = database
        self._objective = objective
        self._clock = clock

    async def status(self) -> Status:
        """What the status page shows now."""
        read = partial(report.report, objective=self._objective, now=int(self._clock()))
        async with self._database.connect() as connection:
            return await connection.run_sync(read)

    async def listed(self, *, limit: int, after: str | None = None) -> tuple[list[Incident], bool]:
        """The newest first, and whether there are more."""
        async with self._database.connect() as connection:
            return await connection.run_sync(partial(incidents.listed, limit=limit, after=after))

    async def open(self, new: New, *, by: Caller | None) -> Incident:
        return await self._change(partial(incidents.open_by_hand, new=new), "incident.opened", by)

    async def note(self, incident_id: str, text: str, *, by: Caller | None) -> Incident:
        change = partial(incidents.note, incident_id=incident_id, text=text)
        return await self._change(change, "incident.noted", by)

    async def resolve(self, incident_id: str, text: str, *, by: Caller | None) -> Incident:
        change = partial(incidents.resolve, incident_id=incident_id, text=text)
        return await self._change(change, "incident.resolved", by)

    async def _change(self, change: Callable[..., Incident], type: str, by: Caller | None) -> Incident:
        now = self._clock()

        def work(connection: Connection) -> Incident:
            return change(connection, now=int(now))

        async with self._database.begin() as connection:
            changed = await connection.run_sync(work)
            payload: dict[str, Any] = {"id": changed.id, "data": {"title": changed.title, "api": changed.api}}
            if changed.notes:
                payload["data"]["text"] = changed.notes[-1].text
            # It concerns the whole installation: that is logged where the operator's own organization looks.
            organization_id = await default_organization(connection, int(now))
            await audit.record(connection, type, payload, organization_id=organization_id, by=by, now=now)
        return changed

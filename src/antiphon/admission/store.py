"""The limits that organizations and projects were given, in the database."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Table, bindparam, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from antiphon.admission.limits import Limits, installed, overridden, throttled
from antiphon.errors import Unavailable
from antiphon.settings import Settings
from antiphon.storage import audit, scopes
from antiphon.storage.database import Database
from antiphon.storage.lookups import Lookups
from antiphon.storage.moderation_tables import organization_standing
from antiphon.storage.tables import project, rate_limit, spend_limit
from antiphon.values import Caller

REMEMBER_SECONDS = 0.5
"""How long an answer of the database counts. A changed limit is in force after that, in every process."""
REMEMBERED = 10_000
LOOKUP_SECONDS = 0.45
"""Longest wait for the database while a request comes in."""
SPARE_SECONDS = 10.0
"""How much longer an answer counts while the database, or this process, is too busy for another one."""

_INSTANCES = ""
"""In the place of a snapshot."""
_OWN = [rate_limit.c[name] for name in Limits.__struct_fields__]
_FOUND = (
    select(*_OWN, organization_standing.c.throttled_until, organization_standing.c.throttle_divisor)
    .select_from(project)
    .outerjoin(
        rate_limit,
        (rate_limit.c.project_id == project.c.id) & (rate_limit.c.snapshot == bindparam("snapshot")),
    )
    .outerjoin(organization_standing, organization_standing.c.organization_id == project.c.organization_id)
)


class RateLimits:
    """What projects may do with snapshots: their own limits, and the installation's where they have none.

    `by` is who changes something; None is the operator's command line. `NotFound` is raised for a project
    that is not the organization's, `InvalidRequest` for a change of an archived one.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self.installed = installed(settings)
        """Those of a project that has none of its own."""
        self._clock = clock
        self._lookups = Lookups(
            self._find,
            seconds=REMEMBER_SECONDS,
            patience=LOOKUP_SECONDS,
            spare=SPARE_SECONDS,
            bound=REMEMBERED,
            clock=monotonic,
        )

    async def of(self, project_id: str, snapshot: str | None) -> Limits:
        """The limits in force: half a second old at most, or ten where no newer ones can be had in time.

        With None, those of its organization's own instances: their load limits them, and a throttle.
        Raises `Unavailable` within a second.
        """
        try:
            return await self._lookups.get(f"{project_id}/{snapshot or _INSTANCES}".encode())
        except TimeoutError:
            raise Unavailable("The rate limits could not be read in time.", retry_after=1) from None

    async def list(
        self, organization_id: str, project_id: str, snapshots: Collection[str]
    ) -> dict[str, Limits]:
        """The limits in force with each of these snapshots."""
        own = await self.own(organization_id, project_id)
        return {name: overridden(self.installed, own.get(name, {})) for name in snapshots}

    async def own(self, organization_id: str, project_id: str) -> dict[str, dict[str, int | None]]:
        """What the project was given itself, by snapshot and the names of `Limits`; None is nothing."""
        query = select(rate_limit.c.snapshot, *_OWN).where(rate_limit.c.project_id == project_id)
        async with self._database.connect() as connection:
            await scopes.require(connection, organization_id, project_id)
            rows = (await connection.execute(query)).mappings()
            return {row["snapshot"]: {name: row[name] for name in Limits.__struct_fields__} for row in rows}

    async def update(
        self,
        organization_id: str,
        project_id: str,
        snapshot: str,
        changes: Mapping[str, int | None],
        *,
        by: Caller | None,
    ) -> Limits:
        """Change limits, by the names of `Limits`: 0 sets none, None goes back to the installation's."""
        place = {"project_id": project_id, "snapshot": snapshot}
        async with self._database.begin() as connection:
            await scopes.require(connection, organization_id, project_id, change=True)
            if changes:
                await _put(connection, rate_limit, place, dict(changes))
                await audit.record(
                    connection,
                    "rate_limit.updated",
                    {"id": f"rl-{snapshot}", "changes_requested": _published(changes)},
                    organization_id=organization_id,
                    project_id=project_id,
                    by=by,
                    now=self._clock(),
                )
            row = (await connection.execute(select(*_OWN).where(*_at(rate_limit, place)))).one_or_none()
        return self._limits(row)

    async def _find(self, key: bytes) -> Limits:
        project_id, _, snapshot = key.decode().partition("/")
        query = _FOUND.where(project.c.id == project_id)
        async with self._database.connect() as connection:
            row = (await connection.execute(query, {"snapshot": snapshot})).one_or_none()
        limits = Limits() if snapshot == _INSTANCES else self._limits(row)
        if row is not None and row.throttled_until is not None and row.throttled_until > self._clock():
            return throttled(limits, row.throttle_divisor)
        return limits

    def _limits(self, row: Any) -> Limits:
        own = {} if row is None else {name: getattr(row, name) for name in Limits.__struct_fields__}
        return overridden(self.installed, own)


class SpendLimits:
    """What an organization, or one of its projects, may spend in a month, in cents. `by` as in `RateLimits`.

    Who enforces it is the ledger. `NotFound` is raised for what does not exist or is another organization's.
    """

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    async def get(self, organization_id: str, project_id: str | None = None) -> int | None:
        """None if there is no limit."""
        query = select(spend_limit.c.cents).where(spend_limit.c.scope == (project_id or organization_id))
        async with self._database.connect() as connection:
            await scopes.require(connection, organization_id, project_id)
            cents: int | None = await connection.scalar(query)
        return cents

    async def set(
        self, organization_id: str, project_id: str | None, cents: int, *, by: Caller | None
    ) -> None:
        """In force within about a second; what is reserved by then is honoured."""
        scope = {"scope": project_id or organization_id}
        async with self._database.begin() as connection:
            await scopes.require(connection, organization_id, project_id, change=True)
            await _put(connection, spend_limit, scope, {"cents": cents, "updated_at": int(self._clock())})
            changes = {"threshold_amount": cents, "currency": "USD", "interval": "month"}
            await self._record(connection, "updated", changes, organization_id, project_id, by)

    async def remove(self, organization_id: str, project_id: str | None, *, by: Caller | None) -> bool:
        """Whether there was a limit."""
        change = delete(spend_limit).where(spend_limit.c.scope == (project_id or organization_id))
        async with self._database.begin() as connection:
            await scopes.require(connection, organization_id, project_id, change=True)
            removed = bool((await connection.execute(change)).rowcount)
            if removed:
                await self._record(connection, "deleted", {}, organization_id, project_id, by)
        return removed

    async def _record(
        self,
        connection: AsyncConnection,
        what: str,
        changes: dict[str, Any],
        organization_id: str,
        project_id: str | None,
        by: Caller | None,
    ) -> None:
        await audit.record(
            connection,
            f"spend_limit.{what}",
            {"id": project_id or organization_id} | ({"changes_requested": changes} if changes else {}),
            organization_id=organization_id,
            project_id=project_id,
            by=by,
            now=self._clock(),
        )


def _published(changes: Mapping[str, int | None]) -> dict[str, int | None]:
    """By the names of the administration API: `max_requests_per_1_minute`."""
    return {f"max_{name.replace('_per_', '_per_1_')}": limit for name, limit in changes.items()}


def _at(table: Table, place: Mapping[str, str]) -> list[ColumnElement[bool]]:
    return [table.c[name] == value for name, value in place.items()]


async def _put(
    connection: AsyncConnection, table: Table, place: Mapping[str, str], values: dict[str, Any]
) -> None:
    """Write a row that may be there; whoever calls holds a lock that keeps others from doing so too."""
    change = update(table).where(*_at(table, place)).values(values)
    if not (await connection.execute(change)).rowcount:
        await connection.execute(insert(table).values(dict(place) | values))

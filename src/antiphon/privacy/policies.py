"""For how long content is kept: what organizations and projects asked for, in the database.

A project's own policy holds for it, be it stricter or laxer than its organization's, as with OpenAI; a
project without one follows its organization, and an organization without one keeps content for 30 days.
`access.authenticator` reads the same rows with each key, so that a request carries the policy it is under.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol

import msgspec
from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from antiphon.errors import InvalidRequest
from antiphon.storage import audit, scopes
from antiphon.storage.database import Database
from antiphon.storage.sql import chunks
from antiphon.storage.tables import data_retention, organization, project
from antiphon.values import Caller, Policy
from antiphon.wire.admin.data_retention import ProjectRetentionType, RetentionType

DEFAULT_DAYS = Policy().days


class Shorten(Protocol):
    """Makes what is kept end sooner, in the transaction of the change that asks for it."""

    def __call__(
        self,
        connection: Connection,
        organization_id: str,
        project_id: str | None,
        days: int,
        now: float,
        *,
        but: Collection[str] = (),
        stored: bool = False,
    ) -> object:
        """What there is of an organization, or of one of its projects, is kept for `days` at most; never
        longer than it was to be. `but` are projects that it leaves alone. `stored`: stored completions too.
        """


class Setting(msgspec.Struct, frozen=True):
    """What somebody asked for, and the policy that is in force by it."""

    type: ProjectRetentionType
    policy: Policy


DEFAULT = Setting("none", Policy())
_COLUMNS = (data_retention.c.type, data_retention.c.days, data_retention.c.stores)


class InProject(msgspec.Struct, frozen=True):
    """A project, and its setting."""

    project_id: str
    name: str
    setting: Setting


def nothing_is_kept(*_: Any, **__: Any) -> None:
    """A `Shorten` for where no content is."""


def setting(type: RetentionType, days: int | None = None) -> Setting:
    """Raises `InvalidRequest` for days that cannot be, or that go with no such type."""
    if type != "none":
        if days is not None:
            raise InvalidRequest(
                f"'days' goes with 'none' alone: with '{type}' no content is kept.", param="days"
            )
        return Setting(type, Policy(days=0, stores="zero" not in type))
    wanted = DEFAULT_DAYS if days is None else days
    if not 1 <= wanted <= DEFAULT_DAYS:
        raise InvalidRequest(f"'days' must be between 1 and {DEFAULT_DAYS}.", param="days")
    return Setting(type, Policy(days=wanted))


class Policies:
    """The policies of all organizations. `by` is who changes something; None is the operator's command line.

    `NotFound` is raised for an organization or a project that is not there. `shorten` is
    called with every change, and with what was set already: it does no harm.
    """

    def __init__(
        self, database: Database, clock: Callable[[], float], shorten: Shorten = nothing_is_kept
    ) -> None:
        self._database = database
        self._clock = clock
        self._shorten = shorten

    async def get(self, organization_id: str, project_id: str | None = None) -> Setting:
        async with self._database.connect() as connection:
            await scopes.require(connection, organization_id, project_id)
            return await _get(connection, organization_id, project_id)

    async def of_organizations(self, ids: Collection[str]) -> dict[str, Setting]:
        """Of each of these, which are there."""
        async with self._database.connect() as connection:
            found = await _rows(connection, ids)
        return {id: found.get(id, DEFAULT) for id in ids}

    async def of_projects(self, organization_id: str) -> list[InProject]:
        """Of each project of an organization, the archived ones too, by name."""
        query = select(project.c.id, project.c.name, *_COLUMNS).outerjoin(
            data_retention, data_retention.c.scope == project.c.id
        )
        query = query.where(project.c.organization_id == organization_id).order_by(project.c.name)
        async with self._database.connect() as connection:
            whole = await _get(connection, organization_id, None)
            rows = (await connection.execute(query)).all()
        return [
            InProject(row.id, row.name, _following(whole) if row.type is None else _setting(row))
            for row in rows
        ]

    async def set(
        self,
        organization_id: str,
        project_id: str | None,
        type: ProjectRetentionType,
        days: int | None = None,
        *,
        by: Caller | None,
    ) -> Setting:
        """In force within a second for requests that come, and at once for what is kept already.

        An archived project may be set too: what was kept of it is still there.
        """
        wanted = None if type == "organization_default" else setting(type, days)
        if wanted is None and (project_id is None or days is not None):
            raise InvalidRequest(
                "'organization_default' is for projects, and without 'days'.",
                param="retention_type" if project_id is None else "days",
            )
        now = self._clock()
        async with self._database.begin() as connection:
            # Under the organization's lock in any case: whom a change concerns is settled one by one.
            await scopes.require(connection, organization_id, None, change=True)
            await scopes.require(connection, organization_id, project_id)
            before = await _get(connection, organization_id, project_id)
            await _put(connection, project_id or organization_id, wanted, int(now))
            after = await _get(connection, organization_id, project_id)
            if after != before:
                await _record(connection, organization_id, project_id, before, after, by, now)
            but = [] if project_id else await _with_their_own(connection, organization_id)
            days = after.policy.days
            stored = ends_stored(after.policy)
            await connection.run_sync(
                lambda sync: self._shorten(
                    sync, organization_id, project_id, days, now, but=but, stored=stored
                )
            )
        return after


def ends_stored(policy: Policy) -> bool:
    """Whether stored completions end with all else: not where a request may store what is kept of nothing."""
    return policy.days > 0 or not policy.stores


def hold(connection: Connection, organization_ids: Collection[str]) -> None:
    """Have no policy of these organizations, nor of their projects, set until the end of the transaction."""
    for some in chunks(sorted(organization_ids)):
        mine = select(organization.c.id).where(organization.c.id.in_(some)).order_by(organization.c.id)
        connection.execute(mine.with_for_update(read=True))


def in_force(connection: Connection, whose: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], Policy]:
    """The policies of projects, each named by its organization and itself."""
    found: dict[str, Setting] = {}
    for some in chunks({one for both in whose for one in both}):
        here = data_retention.c.scope.in_(some)
        rows = connection.execute(select(data_retention.c.scope, *_COLUMNS).where(here))
        found |= {row.scope: _setting(row) for row in rows}
    return {both: found.get(both[1], found.get(both[0], DEFAULT)).policy for both in whose}


def _following(whole: Setting) -> Setting:
    return Setting("organization_default", whole.policy)


async def _get(connection: AsyncConnection, organization_id: str, project_id: str | None) -> Setting:
    found = await _rows(connection, [organization_id, project_id or organization_id])
    whole = found.get(organization_id, DEFAULT)
    return found.get(project_id, _following(whole)) if project_id else whole


async def _rows(connection: AsyncConnection, ids: Collection[str]) -> Mapping[str, Setting]:
    """The settings of their own that some organizations and projects have."""
    query = select(data_retention.c.scope, *_COLUMNS).where(data_retention.c.scope.in_(ids))
    return {row.scope: _setting(row) for row in await connection.execute(query)}


def _setting(row: Any) -> Setting:
    return Setting(row.type, Policy(days=row.days, stores=row.stores))


async def _put(connection: AsyncConnection, scope: str, wanted: Setting | None, now: int) -> None:
    """Write the row of `scope`, which nobody else does meanwhile; none if nothing is `wanted`."""
    here = data_retention.c.scope == scope
    if wanted is None:
        await connection.execute(delete(data_retention).where(here))
        return
    values: dict[str, Any] = {
        "type": wanted.type,
        "days": wanted.policy.days,
        "stores": wanted.policy.stores,
        "updated_at": now,
    }
    if not (await connection.execute(update(data_retention).where(here).values(values))).rowcount:
        await connection.execute(insert(data_retention).values(scope=scope, **values))


async def _with_their_own(connection: AsyncConnection, organization_id: str) -> list[str]:
    """The projects that do not follow their organization."""
    query = (
        select(project.c.id)
        .join(data_retention, data_retention.c.scope == project.c.id)
        .where(project.c.organization_id == organization_id)
    )
    return list(await connection.scalars(query))


async def _record(
    connection: AsyncConnection,
    organization_id: str,
    project_id: str | None,
    before: Setting,
    after: Setting,
    by: Caller | None,
    now: float,
) -> None:
    payload = {
        "id": project_id or organization_id,
        "changes_requested": _told(after),
        "before": _told(before),
    }
    await audit.record(
        connection,
        "data_retention.updated",
        payload,
        organization_id=organization_id,
        project_id=project_id,
        by=by,
        now=now,
    )


def _told(setting: Setting) -> dict[str, Any]:
    return {"retention_type": setting.type, "days": setting.policy.days, "stores": setting.policy.stores}

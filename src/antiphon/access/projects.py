"""Projects: what the keys, the limits and the usage of an organization are sorted by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from sqlalchemy import Select, insert, or_, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from antiphon.access import tenancy
from antiphon.access.paging import LIMIT, Page, page
from antiphon.errors import InvalidRequest
from antiphon.storage import audit
from antiphon.storage.database import Database
from antiphon.storage.ids import new_id
from antiphon.storage.tables import project
from antiphon.values import Caller


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """Times are unix seconds."""

    id: str
    name: str
    created_at: int
    archived_at: int | None = None


_COLUMNS = [project.c[name] for name in Project.__struct_fields__]


class Projects:
    """The projects of an organization, which every method names. `by` as in `Organizations`.

    `NotFound` is raised for a project that does not exist or is another organization's, in the same words;
    `InvalidRequest` for a name that is taken or cannot be shown, and for a change of an archived project.
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock
        self._record = audit.Recorder(clock)

    async def create(self, organization_id: str, name: str, *, by: Caller | None) -> Project:
        tenancy.check_name("name", name)
        async with self._database.begin() as connection:
            await tenancy.lock_organization(connection, organization_id)
            await _require_free(connection, organization_id, name)
            return await self._insert(connection, organization_id, name, by)

    async def ensure(self, organization_id: str, name: str, *, by: Caller | None) -> Project:
        """The project of this name, made if it is missing."""
        tenancy.check_name("project", name)
        async with self._database.begin() as connection:
            await tenancy.lock_organization(connection, organization_id)
            query = _of(organization_id).where(project.c.name == name)
            row = (await connection.execute(query)).one_or_none()
            if row is not None:
                return Project(**row._mapping)
            return await self._insert(connection, organization_id, name, by)

    async def list(
        self,
        organization_id: str,
        *,
        after: str | None = None,
        limit: int = LIMIT,
        include_archived: bool = False,
    ) -> Page[Project]:
        """The oldest first."""
        async with self._database.connect() as connection:
            rows, more = await page(
                connection,
                _of(organization_id),
                project.c.created_at,
                project.c.id,
                after=after,
                limit=limit,
                shown=true() if include_archived else project.c.archived_at.is_(None),
            )
        return Page([Project(**row._mapping) for row in rows], more)

    async def get(self, organization_id: str, project_id: str) -> Project:
        return await self._one(_of(organization_id).where(project.c.id == project_id))

    async def find(self, organization_id: str, name: str) -> Project:
        """The project of this id or, where no id is like that, of this name."""
        query = _of(organization_id).where(or_(project.c.id == name, project.c.name == name))
        return await self._one(query.order_by((project.c.id == name).desc()).limit(1))

    async def rename(self, organization_id: str, project_id: str, name: str, *, by: Caller | None) -> Project:
        tenancy.check_name("name", name)
        async with self._database.begin() as connection:
            await tenancy.lock_organization(connection, organization_id)
            await tenancy.require_project(connection, organization_id, project_id, active=True)
            await _require_free(connection, organization_id, name, but=project_id)
            await connection.execute(update(project).where(project.c.id == project_id).values(name=name))
            payload = {"id": project_id, "changes_requested": {"name": name}}
            await self._record(connection, "project.updated", payload, organization_id, by, project_id)
        return await self.get(organization_id, project_id)

    async def archive(self, organization_id: str, project_id: str, *, by: Caller | None) -> Project:
        """Stop the project and its keys for good (every process within a second); twice is once."""
        async with self._database.begin() as connection:
            await tenancy.lock_organization(connection, organization_id)
            await tenancy.require_project(connection, organization_id, project_id)
            change = update(project).where(project.c.id == project_id, project.c.archived_at.is_(None))
            done = await connection.execute(change.values(archived_at=int(self._clock())))
            if done.rowcount:
                await self._record(
                    connection, "project.archived", {"id": project_id}, organization_id, by, project_id
                )
        return await self.get(organization_id, project_id)

    async def _insert(
        self, connection: AsyncConnection, organization_id: str, name: str, by: Caller | None
    ) -> Project:
        made = Project(id=new_id("proj_"), name=name, created_at=int(self._clock()))
        row = msgspec.structs.asdict(made) | {"organization_id": organization_id}
        await connection.execute(insert(project).values(row))
        payload = {"id": made.id, "data": {"name": name, "title": name}}
        await self._record(connection, "project.created", payload, organization_id, by, made.id)
        return made

    async def _one(self, query: Select[Any]) -> Project:
        async with self._database.connect() as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            raise tenancy.missing("project")
        return Project(**row._mapping)


def _of(organization_id: str) -> Select[Any]:
    return select(*_COLUMNS).where(project.c.organization_id == organization_id)


async def _require_free(connection: AsyncConnection, organization_id: str, name: str, but: str = "") -> None:
    query = select(project.c.id).where(
        project.c.organization_id == organization_id, project.c.name == name, project.c.id != but
    )
    if await connection.scalar(query) is not None:
        raise InvalidRequest(
            "There is already a project with this name; archived ones keep theirs.", param="name"
        )

"""Organizations: whoever is billed. The operator alone makes them."""

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
from antiphon.storage.tables import organization
from antiphon.values import Caller


class Organization(msgspec.Struct, frozen=True, kw_only=True):
    """`prepaid`: whether it may only spend what it was credited. Times are unix seconds."""

    id: str
    name: str
    created_at: int
    prepaid: bool


_COLUMNS = [organization.c[name] for name in Organization.__struct_fields__]


class Organizations:
    """Every organization of the installation. `by` is who asks; None is the operator's command line.

    `NotFound` is raised for one that does not exist, `InvalidRequest` for a name that is taken or cannot
    be shown.
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    async def create(self, name: str, *, prepaid: bool = False, by: Caller | None) -> Organization:
        tenancy.check_name("name", name)
        now = self._clock()
        made = Organization(id=new_id("org-"), name=name, created_at=int(now), prepaid=prepaid)
        async with self._database.begin() as connection:
            await tenancy.lock_installation(connection)
            await _require_free(connection, name)
            await connection.execute(insert(organization).values(msgspec.structs.asdict(made)))
            payload = {"id": made.id, "data": {"name": name, "prepaid": prepaid}}
            await audit.record(
                connection, "organization.created", payload, organization_id=made.id, by=by, now=now
            )
        return made

    async def ensure_default(self) -> Organization:
        """The default organization, made if it is missing."""
        by_name = select(*_COLUMNS).where(organization.c.name == tenancy.DEFAULT)
        async with self._database.connect() as connection:
            row = (await connection.execute(by_name)).one_or_none()
        if row is not None:
            return Organization(**row._mapping)
        async with self._database.begin() as connection:
            found = await tenancy.default_organization(connection, int(self._clock()))
        return await self.get(found)

    async def list(self, *, after: str | None = None, limit: int = LIMIT) -> Page[Organization]:
        """The oldest first."""
        async with self._database.connect() as connection:
            rows, more = await page(
                connection,
                select(*_COLUMNS),
                organization.c.created_at,
                organization.c.id,
                after=after,
                limit=limit,
                shown=true(),
            )
        return Page([Organization(**row._mapping) for row in rows], more)

    async def get(self, organization_id: str) -> Organization:
        return await self._one(select(*_COLUMNS).where(organization.c.id == organization_id))

    async def find(self, name: str) -> Organization:
        """The organization of this id or, where no id is like that, of this name."""
        query = select(*_COLUMNS).where(or_(organization.c.id == name, organization.c.name == name))
        return await self._one(query.order_by((organization.c.id == name).desc()).limit(1))

    async def update(
        self,
        organization_id: str,
        *,
        name: str | None = None,
        prepaid: bool | None = None,
        by: Caller | None,
    ) -> Organization:
        """Change what is given. A lower limit on what may be spent counts for the next request."""
        if name is not None:
            tenancy.check_name("name", name)
        given = {"name": name, "prepaid": prepaid}
        changes = {field: value for field, value in given.items() if value is not None}
        async with self._database.begin() as connection:
            await tenancy.lock_installation(connection)
            await tenancy.lock_organization(connection, organization_id)
            if name is not None:
                await _require_renameable(connection, organization_id)
                await _require_free(connection, name, but=organization_id)
            if changes:
                change = update(organization).where(organization.c.id == organization_id).values(changes)
                await connection.execute(change)
                await audit.record(
                    connection,
                    "organization.updated",
                    {"id": organization_id, "changes_requested": changes},
                    organization_id=organization_id,
                    by=by,
                    now=self._clock(),
                )
        return await self.get(organization_id)

    async def _one(self, query: Select[Any]) -> Organization:
        async with self._database.connect() as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            raise tenancy.missing("organization")
        return Organization(**row._mapping)


async def _require_free(connection: AsyncConnection, name: str, but: str = "") -> None:
    query = select(organization.c.id).where(organization.c.name == name, organization.c.id != but)
    if await connection.scalar(query) is not None:
        raise InvalidRequest("There is already an organization with this name.", param="name")


async def _require_renameable(connection: AsyncConnection, organization_id: str) -> None:
    query = select(organization.c.name).where(organization.c.id == organization_id)
    if await connection.scalar(query) == tenancy.DEFAULT:
        raise InvalidRequest("The default organization keeps its name.", param="name")

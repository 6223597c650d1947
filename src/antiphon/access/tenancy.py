"""Organizations and their projects."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Table, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from antiphon.access import tokens
from antiphon.storage.tables import organization, project

DEFAULT = "default"
"""The name of the organization and of the project that every installation begins with."""


async def ensure_project(connection: AsyncConnection, name: str, now: int) -> str:
    """The id of the default organization's project of this name; either is made if it is missing."""
    organization_id = await _ensure(
        connection, organization, organization.c.name == DEFAULT, prefix="org-", name=DEFAULT, created_at=now
    )
    return await _ensure(
        connection,
        project,
        (project.c.organization_id == organization_id) & (project.c.name == name),
        prefix="proj_",
        organization_id=organization_id,
        name=name,
        created_at=now,
    )


async def _ensure(
    connection: AsyncConnection, table: Table, same: ColumnElement[bool], *, prefix: str, **values: str | int
) -> str:
    found: str | None = await connection.scalar(select(table.c.id).where(same))
    if found is not None:
        return found
    made = tokens.new_id(prefix)
    await connection.execute(insert(table).values(id=made, **values))
    return made

"""What limits and policies are set for: an organization, or one of its projects."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from antiphon.errors import InvalidRequest, NotFound
from antiphon.storage.tables import organization, project


async def require(
    connection: AsyncConnection, organization_id: str, project_id: str | None, *, change: bool = False
) -> None:
    """Raise `NotFound` unless the project, or without one the organization, is there.

    To `change` something of it keeps others from doing so in this transaction's time; `InvalidRequest` is
    raised for an archived project then.
    """
    if project_id is not None:
        return await _require_project(connection, organization_id, project_id, change=change)
    query = select(organization.c.id).where(organization.c.id == organization_id)
    if await connection.scalar(_locking(query) if change else query) is None:
        raise NotFound("There is no such organization.")


async def _require_project(
    connection: AsyncConnection, organization_id: str, project_id: str, *, change: bool
) -> None:
    query = select(project.c.archived_at).where(
        project.c.id == project_id, project.c.organization_id == organization_id
    )
    row = (await connection.execute(_locking(query) if change else query)).one_or_none()
    if row is None:
        raise NotFound("There is no such project.")
    if change and row.archived_at is not None:
        raise InvalidRequest("The project is archived: nothing in it can be made or changed.")


def _locking(query: Any) -> Any:
    # The weaker of PostgreSQL's locks: rows that refer to this one may still be written.
    return query.with_for_update(key_share=True)

"""What every change of an organization begins with: it exists, and nobody else is changing it."""

from __future__ import annotations

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from antiphon.errors import InvalidRequest, NotFound
from antiphon.storage import audit
from antiphon.storage.ids import new_id
from antiphon.storage.tables import installation, organization, project

DEFAULT = "default"
"""The name of the organization and of the project that every installation begins with."""
NAME_CHARACTERS = 100


def missing(kind: str) -> NotFound:
    """What is answered for an object that does not exist, and in the same words for somebody else's."""
    return NotFound(f"There is no such {kind}.")


def check_name(param: str, name: str) -> None:
    """Raise `InvalidRequest` for a name that cannot be shown."""
    if not name or len(name) > NAME_CHARACTERS or not name.isprintable():
        raise InvalidRequest(
            f"'{param}' must be 1 to {NAME_CHARACTERS} characters that can be printed.", param=param
        )


async def lock_installation(connection: AsyncConnection) -> None:
    """Wait until nobody else changes what has no organization."""
    # SQLite has one writer; PostgreSQL locks the installation's one row.
    await connection.execute(select(installation.c.id).with_for_update())


async def lock_organization(connection: AsyncConnection, organization_id: str) -> None:
    """Wait until nobody else changes this organization. Raises `NotFound` if it does not exist."""
    query = select(organization.c.id).where(organization.c.id == organization_id)
    # The weaker of PostgreSQL's locks: rows that refer to the organization may still be written.
    if await connection.scalar(query.with_for_update(key_share=True)) is None:
        raise missing("organization")


async def require_project(
    connection: AsyncConnection, organization_id: str, project_id: str, *, active: bool = False
) -> None:
    """Raise `NotFound` unless the project is the organization's; `InvalidRequest` for an archived one if
    it must be `active`."""
    query = select(project.c.archived_at).where(
        project.c.id == project_id, project.c.organization_id == organization_id
    )
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise missing("project")
    if active and row.archived_at is not None:
        raise InvalidRequest("The project is archived: nothing in it can be made or changed.")


async def default_organization(connection: AsyncConnection, now: int) -> str:
    """The id of the default organization, which is made if it is missing."""
    await lock_installation(connection)
    found: str | None = await connection.scalar(
        select(organization.c.id).where(organization.c.name == DEFAULT)
    )
    if found is not None:
        return found
    made = new_id("org-")
    row = {"id": made, "name": DEFAULT, "created_at": now, "prepaid": False}
    await connection.execute(insert(organization).values(row))
    payload = {"id": made, "data": {"name": DEFAULT, "prepaid": False}}
    await audit.record(connection, "organization.created", payload, organization_id=made, by=None, now=now)
    return made

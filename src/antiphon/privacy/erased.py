"""What was asked for before all was erased, and is written only afterwards, is erased with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, func, select, update

from antiphon.storage import sql
from antiphon.storage.content_tables import content, content_erasure, content_key
from antiphon.storage.tables import project


def note(connection: Connection, scope: str, now: float) -> None:
    """Remember when all of an organization or a project, by its id, was erased."""
    statement = sql.insert(connection, content_erasure).values(scope=scope, erased_at=int(now))
    newer = {"erased_at": statement.excluded.erased_at}
    connection.execute(statement.on_conflict_do_update(index_elements=["scope"], set_=newer))


def last(connection: Connection, organization_id: str) -> int:
    """When something of an organization was erased, all or one of its projects, the last time; 0: never."""
    projects = select(project.c.id).where(project.c.organization_id == organization_id)
    scope = content_erasure.c.scope
    query = select(func.max(content_erasure.c.erased_at))
    return connection.scalar(query.where((scope == organization_id) | scope.in_(projects))) or 0


def catch_up(connection: Connection, rows: Sequence[Mapping[str, Any]], now: float) -> None:
    """Have those of `rows`, which were just written, expire at once that are of before an erasure.

    `rows` have the columns of `content`. The purge deletes them and their keys as if they had been there.
    """
    at = _erasures(connection, {row[of] for row in rows for of in ("organization_id", "project_id")})
    late = [row for row in rows if _before(row, at)]
    for some in sql.chunks(late):
        mine = content.c.id.in_([row["id"] for row in some])
        gone = {"expires_at": int(now), "cause": "erased", "days": -1}
        connection.execute(update(content).where(mine).values(gone))
    for names in sql.chunks({row["sealed_with"] for row in late}):
        keys = content_key.c.id.in_(names) & content_key.c.current
        connection.execute(update(content_key).where(keys).values(current=None, retired_at=int(now)))


def _before(row: Mapping[str, Any], at: Mapping[str, int]) -> bool:
    began: int = row["created_at"]
    return any(began <= at.get(row[of], -1) for of in ("organization_id", "project_id"))


def _erasures(connection: Connection, scopes: set[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for some in sql.chunks(scopes):
        query = select(content_erasure).where(content_erasure.c.scope.in_(some))
        found |= {row.scope: row.erased_at for row in connection.execute(query)}
    return found

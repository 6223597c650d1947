"""Rows of `content` a few at a time, by how much is in them: one may be megabytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from antiphon.storage.content_tables import content

_SIZE = func.length(content.c.payload) + func.coalesce(func.length(content.c.metadata), 0)


async def page(
    connection: AsyncConnection,
    *which: ColumnElement[bool],
    most: int,
    most_bytes: int,
    backwards: bool = False,
) -> Sequence[Any]:
    """The first rows under these conditions, whole, by their ids: so many, and so many encrypted bytes at
    most, but one at least if there is any. `backwards`: the last ones first."""
    order = content.c.id.desc() if backwards else content.c.id
    sizes = select(content.c.id, _SIZE.label("size")).where(*which).order_by(order).limit(most)
    ids: list[str] = []
    size = 0
    for row in await connection.execute(sizes):
        size += row.size
        if ids and size > most_bytes:
            break
        ids.append(row.id)
    rows = select(content).where(content.c.id.in_(ids)).order_by(order)
    return (await connection.execute(rows)).all()

"""Lists in pages: so many rows, the oldest first or last, after a row that the caller saw before."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Generic, Literal, TypeVar

import msgspec
from sqlalchemy import ColumnElement, Row, Select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from antiphon.errors import InvalidRequest

T = TypeVar("T")
Order = Literal["asc", "desc"]
LIMIT = 20
LARGEST_LIMIT = 100


class Page(msgspec.Struct, Generic[T], frozen=True):
    """Some of a list; `has_more` where the next page begins after the last of these."""

    data: list[T]
    has_more: bool


def among(column: ColumnElement[Any], values: Iterable[str]) -> ColumnElement[bool]:
    """Whether a column is one of these, of which nothing can be that cannot be printed."""
    # PostgreSQL would not even take such text to compare with.
    return column.in_([value for value in values if value.isprintable()])


async def page(
    connection: AsyncConnection,
    query: Select[Any],
    position: ColumnElement[Any],
    identity: ColumnElement[Any],
    *,
    after: str | None,
    limit: int,
    order: Order = "asc",
    shown: ColumnElement[bool],
) -> tuple[list[Row[Any]], bool]:
    """The rows of `query` in the order of `position` and, where that is the same, of `identity`.

    Of these only what is `shown`; but `after` may be the identity of any row of `query`, so that whoever
    removes what a page showed can ask for the next. Raises `InvalidRequest` for one that is not there, and
    for a limit outside 1 to 100.
    """
    if not 1 <= limit <= LARGEST_LIMIT:
        raise InvalidRequest(f"'limit' must be between 1 and {LARGEST_LIMIT}.", param="limit")
    place = tuple_(position, identity)
    if after is not None:
        check_cursor("after", after)
        cursor = query.where(identity == after).with_only_columns(position, identity)
        begin = (await connection.execute(cursor)).one_or_none()
        if begin is None:
            raise _not_there("after")
        query = query.where(place > tuple_(*begin) if order == "asc" else place < tuple_(*begin))
    directions = (position.asc(), identity.asc()) if order == "asc" else (position.desc(), identity.desc())
    rows = (await connection.execute(query.where(shown).order_by(*directions).limit(limit + 1))).all()
    return list(rows[:limit]), len(rows) > limit


def check_cursor(param: str, cursor: str | None) -> None:
    """Raise `InvalidRequest` for what cannot be an id."""
    if cursor is not None and not cursor.isprintable():
        raise _not_there(param)


def _not_there(param: str) -> InvalidRequest:
    return InvalidRequest(f"'{param}' is not the id of an entry of this list.", param=param)

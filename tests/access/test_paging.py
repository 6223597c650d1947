"""Walking through a list, whatever the size of a page and whatever was made in the same second."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert, select

from antiphon.access.paging import Order, among, check_cursor, page
from antiphon.errors import InvalidRequest
from antiphon.storage.database import Database
from antiphon.storage.tables import organization

ROWS = [(f"org-{letter}", second) for letter, second in zip("GaBcDeF", [3, 1, 1, 2, 2, 2, 3], strict=True)]


async def filled(database: Database) -> None:
    async with database.begin() as connection:
        rows = [{"id": i, "name": i, "created_at": at, "prepaid": at == 2} for i, at in ROWS]
        await connection.execute(insert(organization).values(rows))


async def walk(database: Database, limit: int, order: Order, shown: Any) -> list[str]:
    seen: list[str] = []
    more = True
    async with database.connect() as connection:
        while more:
            rows, more = await page(
                connection,
                select(organization.c.id),
                organization.c.created_at,
                organization.c.id,
                after=seen[-1] if seen else None,
                limit=limit,
                order=order,
                shown=shown,
            )
            seen += [row.id for row in rows]
    return seen


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
async def test_every_entry_is_seen_once_in_either_order(database: Database, limit: int) -> None:
    await filled(database)
    everything = organization.c.id != ""
    up, down = [await walk(database, limit, order, everything) for order in ("asc", "desc")]
    assert up == down[::-1] and sorted(up) == sorted(identity for identity, _ in ROWS)
    seconds = dict(ROWS)
    assert [seconds[identity] for identity in up] == [1, 1, 2, 2, 2, 3, 3]
    of_some = await walk(database, limit, "asc", organization.c.prepaid.is_(False))
    assert of_some == [identity for identity in up if seconds[identity] != 2]


async def test_among_takes_any_text(database: Database) -> None:
    await filled(database)
    query = select(organization.c.id).where(among(organization.c.id, ["org-a", "\0", "\ud800", "' OR 1=1"]))
    async with database.connect() as connection:
        assert (await connection.scalars(query)).all() == ["org-a"]


@pytest.mark.parametrize("cursor", ["\0", "\ud800", "a\nb"])
def test_what_cannot_be_an_id_is_no_cursor(cursor: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_cursor("before", cursor)
    assert caught.value.param == "before"
    check_cursor("before", None)
    check_cursor("before", "org-a")

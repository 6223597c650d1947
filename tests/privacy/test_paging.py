"""Rows come a few at a time, by how much is in them."""

from __future__ import annotations

import pytest

from antiphon.privacy.paging import page
from antiphon.storage.content_tables import content
from privacy_house import House


@pytest.mark.parametrize(
    ("most", "most_bytes", "found"), [(2, 10_000, 2), (9, 10_000, 3), (9, 350, 1), (9, 1, 1), (9, 480, 2)]
)
async def test_a_page_is_bounded_in_rows_and_bytes(
    any_house: House, most: int, most_bytes: int, found: int
) -> None:
    items = [any_house.item("x" * 80) for _ in range(3)]
    await any_house.keep(*items, any_house.item(organization_id="org-2"))
    ids = [item.id for item in items]
    mine = content.c.organization_id == "org-1"
    for backwards in (False, True):
        async with any_house.database.connect() as connection:
            rows = await page(connection, mine, most=most, most_bytes=most_bytes, backwards=backwards)
        assert [row.id for row in rows] == ids[:: -1 if backwards else 1][:found]
        assert all(200 < len(row.payload) < 240 for row in rows)


async def test_of_nothing_there_is_none(house: House) -> None:
    async with house.database.connect() as connection:
        assert list(await page(connection, most=5, most_bytes=5)) == []

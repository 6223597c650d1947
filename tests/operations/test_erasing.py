"""What is erased is not read any more at once, and after a purge nowhere."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select

from antiphon.access.access import build
from antiphon.errors import NotFound
from antiphon.operations.erasing import erase
from antiphon.storage.database import Database
from antiphon.storage.tables import audit_log, content
from privacy_house import House, housed
from tenants import PEPPER


@pytest.fixture
async def house(tmp_path: Path, database: Database, database_url: str) -> AsyncIterator[House]:
    async with housed(tmp_path, database, database_url) as house:
        yield house


async def test_an_organization_or_one_project_is_erased(house: House) -> None:
    access = build(house.database, PEPPER, lambda: house.now)
    one = await access.organizations.create("one", by=None)
    shop = await access.projects.create(one.id, "shop", by=None)
    for project in (shop.id, "proj_2"):
        await house.keep(house.item(organization_id=one.id, project_id=project, recording=b"sound"))
    await house.keep(house.item(organization_id="org-2"))
    for project, rest in ((shop.id, 2), (None, 1)):
        async with house.database.begin() as connection:
            assert await erase(connection, one.id, project, house.now) == 1
        await house.purge().look(sign=True)
        async with house.database.connect() as connection:
            assert len((await connection.execute(select(content.c.id))).all()) == rest
            query = select(audit_log.c.payload).where(audit_log.c.type == "data.erased")
            assert len(list(await connection.scalars(query))) == 3 - rest
    assert not [path for path in (house.home / "content").rglob("*") if path.is_file()]


async def test_what_is_not_there_cannot_be_erased(house: House) -> None:
    with pytest.raises(NotFound):
        async with house.database.begin() as connection:
            await erase(connection, "org-9", None, house.now)

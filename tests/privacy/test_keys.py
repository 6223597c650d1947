"""A key for each organization and day, in a store of its own, and none of it left once it is destroyed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import text

from antiphon.errors import ConfigurationError
from antiphon.privacy.content import Content
from antiphon.privacy.keys import KeyMissing, Keys, opened_keys
from antiphon.privacy.places import Folder
from antiphon.settings import KEYS_NAME, Settings
from antiphon.storage.content_tables import content_key, key_metadata
from antiphon.storage.database import Database
from privacy_house import House
from servers import PostgresServer, fresh_database


async def test_there_is_one_for_each_organization_and_day(any_house: House) -> None:
    house = any_house
    keys = [
        await house.keys.current(organization, day)
        for organization, day in (("org-1", "2026-12-01"), ("org-1", "2026-12-02"), ("org-2", "2026-12-01"))
    ]
    assert len({key.id for key in keys}) == len({key.secret for key in keys}) == 3
    assert [len(key.secret) for key in keys] == [32] * 3
    assert await house.keys.current("org-1", "2026-12-01") == keys[0]


async def test_processes_that_need_one_at_once_use_the_same(house: House, tmp_path: Path) -> None:
    async with opened_keys(Settings(home=str(tmp_path)), house.database) as others:
        found = await asyncio.gather(
            *(keys.current("org-1", "2026-12-01") for keys in (house.keys, others) * 3)
        )
    assert len({key.id for key in found}) == 1


async def test_the_database_of_the_content_has_none(house: House) -> None:
    key = await house.keys.current("org-1", "2026-12-01")
    for path in house.home.glob("antiphon.db*"):
        assert key.secret not in path.read_bytes()
    [name] = await house.rows(content_key)
    assert key.secret not in tuple(name)


async def test_one_that_is_destroyed_is_in_no_file(house: House) -> None:
    kept = [await house.keys.current(f"org-{number}", "2026-12-01") for number in range(60)]
    last = await house.keys.current("org-1", "2026-12-02")
    files = [house.home / f"{KEYS_NAME}{ending}" for ending in ("", "-wal", "-shm")]
    everything = b"".join(path.read_bytes() for path in files if path.exists())
    assert all(key.secret in everything for key in kept)
    for _ in range(2):
        await house.keys.destroy([key.id for key in kept])
    everything = b"".join(path.read_bytes() for path in house.home.glob(f"{KEYS_NAME}*"))
    assert not any(key.secret in everything or key.id.encode() in everything for key in kept)
    assert list((await house.secrets()).values()) == [last.secret]
    with pytest.raises(KeyMissing, match="set content_keys"):
        await house.keys.of([kept[0].id])


async def test_a_machine_without_the_keys_says_what_to_set(house: House, tmp_path: Path) -> None:
    await house.keys.current("org-1", "2026-12-01")
    async with opened_keys(Settings(home=str(tmp_path / "other")), house.database) as other:
        assert await other.lacking("2026-11-28") and not await house.keys.lacking("2026-11-28")
        assert not await other.lacking("2026-12-02")
        with pytest.raises(KeyMissing, match="set content_keys to the same database on every machine"):
            await Content(house.database, other, Folder(tmp_path)).keep(
                [house.item(days=3, expires_at=1_796_083_200)]
            )
    assert not await house.rows()


async def test_it_is_refused_to_lay_them_beside_the_content(house: House, tmp_path: Path) -> None:
    settings = Settings(home=str(tmp_path), database="sqlite+aiosqlite:////x/y.db")
    beside = Settings(home=str(tmp_path), database=settings.database, content_keys=settings.database)
    with pytest.raises(ConfigurationError, match="content_keys names the database of the content"):
        async with opened_keys(beside, house.database):
            pass


async def test_another_postgresql_database_may_have_them(
    postgres_server: PostgresServer, house: House
) -> None:
    with fresh_database(postgres_server) as fresh:
        async with Database(fresh.url) as store:
            async with store.alone() as connection:
                await connection.run_sync(key_metadata.create_all)
            keys = Keys(house.database, store)
            key, other = [await keys.current("org-1", day) for day in ("2026-12-01", "2026-12-02")]
            async with store.connect() as connection:
                before = await connection.scalar(text("select pg_relation_filenode('sealing_key')"))
            await keys.destroy([key.id])
            async with store.connect() as connection:
                assert before != await connection.scalar(text("select pg_relation_filenode('sealing_key')"))
            assert (await keys.of([other.id]))[other.id] == other
            with pytest.raises(KeyMissing):
                await keys.of([key.id])


async def test_what_is_over_is_forgotten_in_memory(house: House) -> None:
    old, new = [await house.keys.current("org-1", day) for day in ("2026-11-27", "2026-11-28")]
    house.keys.forget(before="2026-11-28")
    assert list(house.keys._known) == [new.id]
    assert await house.keys.past("2026-11-28") == [old.id]


async def test_those_that_are_named_and_not_here_are_known(house: House) -> None:
    lost, there = [await house.keys.current("org-1", day) for day in ("2026-11-27", "2026-11-28")]
    assert await house.keys.lost() == []
    await house.keys.destroy([lost.id])
    assert await house.keys.lost() == [lost.id]
    assert await house.keys.there([lost.id, there.id]) == {there.id: there}

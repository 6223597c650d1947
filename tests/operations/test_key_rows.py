"""Keys of content that lie in a database of their own: into a backup, and from it into an empty database."""

from __future__ import annotations

import tarfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import select

from antiphon.access.pepper import load_pepper
from antiphon.errors import ConfigurationError
from antiphon.operations import key_rows
from antiphon.operations.artefacts import MANIFEST
from antiphon.operations.backup import back_up
from antiphon.operations.restore import restore
from antiphon.privacy.keys import opened_keys
from antiphon.privacy.places import Folder
from antiphon.settings import KEYS_NAME, Settings
from antiphon.storage.content_tables import content as rows
from antiphon.storage.content_tables import sealing_key
from antiphon.storage.database import Database
from antiphon.storage.migrations import upgrade
from privacy_house import House
from servers import PostgresServer, free_port, fresh_database

New = Callable[[str], str]


def silent(name: str, done: int, total: int) -> None:
    """Nobody looks."""


def names(path: Path) -> set[str]:
    with tarfile.open(path) as archive:
        return set(archive.getnames())


@pytest.fixture(params=["sqlite", "postgresql"])
def new(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[New]:
    """Gives the address of an empty database: SQLite outside of any data folder, or PostgreSQL."""
    with ExitStack() as stack:

        def give(name: str) -> str:
            if request.param == "sqlite":
                return f"sqlite+aiosqlite:///{tmp_path / name}.db"
            server = request.getfixturevalue("postgres_server")
            return stack.enter_context(fresh_database(server)).url

        yield give


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "home").mkdir()
    load_pepper(tmp_path / "home")
    return Settings(home=str(tmp_path / "home"))


@asynccontextmanager
async def kept(settings: Settings) -> AsyncIterator[House]:
    async with Database(settings.database_url) as database:
        await upgrade(database)
        async with opened_keys(settings, database) as keys:
            yield House(settings.home_path, database, keys, Folder(settings.home_path))


async def read(settings: Settings) -> list[bytes | None]:
    async with kept(settings) as house, house.database.connect() as connection:
        found = (await connection.execute(select(rows).order_by(rows.c.id))).all()
        return [one.asked for one in await house.content.read(found)]


async def secrets(url: str) -> set[bytes]:
    async with Database(url) as store, store.connect() as connection:
        return set(await connection.scalars(select(sealing_key.c.secret)))


async def test_what_was_kept_is_read_from_the_restored_databases(
    settings: Settings, tmp_path: Path, new: New
) -> None:
    chosen = msgspec.structs.replace(settings, content_keys=new("keys"))
    (settings.home_path / "antiphon.toml").write_text(f'content_keys = "{chosen.content_keys}"\n')
    (settings.home_path / KEYS_NAME).write_text("of before")
    async with kept(chosen) as house:
        await house.keep(house.item("one", days=3), house.item("two", days=9, organization_id="org-2"))
    made = await back_up(chosen, tmp_path / "copies", silent)
    assert names(made.keys) == {key_rows.NAME, "pepper", MANIFEST}
    assert key_rows.NAME not in names(made.data)

    fresh, url = tmp_path / "fresh", new("restored")
    with pytest.raises(ConfigurationError, match="the setting content_keys named") as refused:
        await restore(made.data, made.keys, fresh, "", silent)
    assert "--content-keys" in refused.value.fix and not list(fresh.iterdir())
    done = await restore(made.data, made.keys, fresh, "", silent, keys_url=url)
    assert "Set `content_keys` (ANTIPHON_CONTENT_KEYS)" in done.note
    assert (fresh / "antiphon.toml").read_text().startswith("# before the restore: content_keys =")
    assert await secrets(url) == await secrets(chosen.content_keys) and len(await secrets(url)) == 2
    assert await read(Settings(home=str(fresh), content_keys=url)) == [
        b'{"asked":"one"}',
        b'{"asked":"two"}',
    ]
    assert not (fresh / KEYS_NAME).exists() and not (fresh / key_rows.NAME).exists()

    with pytest.raises(ConfigurationError, match="has keys already"):
        await restore(made.data, made.keys, tmp_path / "again", "", silent, keys_url=url)
    assert not list((tmp_path / "again").iterdir())


async def test_keys_that_lie_in_the_data_folder_come_back_there(settings: Settings, tmp_path: Path) -> None:
    own = f"sqlite+aiosqlite:///{settings.home_path / KEYS_NAME}"
    (settings.home_path / "antiphon.toml").write_text(f'content_keys = "{own}"\n')
    async with kept(settings) as house:
        await house.keep(house.item("one"))
    chosen = msgspec.structs.replace(settings, content_keys=own)
    made = await back_up(chosen, tmp_path / "copies", silent)
    assert names(made.keys) == {KEYS_NAME, "pepper", MANIFEST}
    fresh = tmp_path / "fresh"
    with pytest.raises(ConfigurationError, match="are restored into one"):
        await restore(
            made.data, made.keys, fresh, "", silent, keys_url=f"sqlite+aiosqlite:///{tmp_path / 'x.db'}"
        )
    done = await restore(made.data, made.keys, fresh, "", silent)
    assert "The keys of content lie in the data folder now" in done.note
    assert await read(Settings(home=str(fresh))) == [b'{"asked":"one"}']


async def test_without_the_keys_there_is_no_backup(settings: Settings, tmp_path: Path) -> None:
    async with kept(settings):
        pass
    place = tmp_path / "copies"
    away = f"postgresql://me:hunter2@127.0.0.1:{free_port()}/keys"
    for url, told in (
        (away, "the database that content_keys names cannot be used"),
        (f"sqlite+aiosqlite:///{tmp_path / 'none.db'}", "there is no such file"),
        (f"sqlite+aiosqlite:///{tmp_path}/home/../home/antiphon.db", "names the database of the content"),
        (settings.database_url, "names the database of the content"),
    ):
        chosen = msgspec.structs.replace(settings, content_keys=url)
        with pytest.raises(ConfigurationError, match=told) as refused:
            await back_up(chosen, place, silent)
        assert refused.value.fix and "hunter2" not in refused.value.message
    assert not place.exists() and not (tmp_path / "none.db").exists()
    async with Database(f"sqlite+aiosqlite:///{tmp_path / 'empty.db'}") as empty, empty.connect():
        pass
    chosen = msgspec.structs.replace(settings, content_keys=f"sqlite+aiosqlite:///{tmp_path / 'empty.db'}")
    with pytest.raises(ConfigurationError, match="has no table of keys"):
        await back_up(chosen, place, silent)


async def test_keys_that_are_lost_halfway_leave_no_half_backup(
    settings: Settings, tmp_path: Path, postgres_server: PostgresServer
) -> None:
    with fresh_database(postgres_server) as store:
        chosen = msgspec.structs.replace(settings, content_keys=store.url)
        async with kept(chosen) as house:
            await house.keep(house.item("one"))
        first = await back_up(chosen, tmp_path / "copies" / "one.tar", silent)
        before = first.keys.read_bytes()

        def lose(name: str, done: int, total: int) -> None:
            store.kill()

        with pytest.raises(ConfigurationError, match="cannot be used"):
            await back_up(chosen, tmp_path / "copies" / "two.tar", lose)
        assert {path.name for path in (tmp_path / "copies").iterdir()} == {"one.tar", first.keys.name}
        assert first.keys.read_bytes() == before


async def test_the_database_of_the_content_gets_no_keys(
    settings: Settings, tmp_path: Path, postgres_server: PostgresServer
) -> None:
    with fresh_database(postgres_server) as old, fresh_database(postgres_server, "migrated") as content:
        chosen = msgspec.structs.replace(settings, content_keys=old.url)
        async with kept(chosen) as house:
            await house.keep(house.item("one"))
        made = await back_up(chosen, tmp_path / "copies", silent)
        for database_url in (content.url, ""):
            with pytest.raises(ConfigurationError, match="names the database of the content"):
                await restore(
                    made.data, made.keys, tmp_path / "fresh", database_url, silent, keys_url=content.url
                )
        assert not list((tmp_path / "fresh").iterdir())


async def test_what_none_of_the_keys_opens_is_left_out(settings: Settings, tmp_path: Path, new: New) -> None:
    """The data are older than the keys."""
    chosen = msgspec.structs.replace(settings, content_keys=new("keys"))
    async with kept(chosen) as house:
        await house.keep(house.item("one", days=3), house.item("two", days=9))
        first = await back_up(chosen, tmp_path / "copies" / "one.tar", silent)
        await house.keys.destroy([(await house.rows())[0].sealed_with])
        second = await back_up(chosen, tmp_path / "copies" / "two.tar", silent)
    fresh, url = tmp_path / "fresh", new("restored")
    done = await restore(first.data, second.keys, fresh, "", silent, keys_url=url)
    assert done.forgotten == 1 and not (fresh / KEYS_NAME).exists()
    assert await read(Settings(home=str(fresh), content_keys=url)) == [b'{"asked":"two"}']

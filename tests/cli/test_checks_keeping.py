"""What the doctor says of the keys of content, and of storage for recordings: real databases, a real S3."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

import bucket_server
from antiphon.access.pepper import load_pepper
from antiphon.cli.checks import Finding, keeping
from antiphon.errors import ConfigurationError
from antiphon.privacy.days import SECONDS, day_of
from antiphon.privacy.keys import opened_keys
from antiphon.settings import KEYS_NAME, Settings
from antiphon.storage.database import Database
from antiphon.storage.migrations import upgrade
from servers import PostgresDatabase, PostgresServer, free_port, fresh_database


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "home").mkdir()
    return Settings(home=str(tmp_path / "home"))


@pytest.fixture
def store(postgres_server: PostgresServer) -> Iterator[PostgresDatabase]:
    with fresh_database(postgres_server) as database:
        yield database


def used(settings: Settings) -> None:
    """As after a start: with tables, and a key for what expires tomorrow."""

    async def run() -> None:
        import time

        async with Database(settings.database_url) as database:
            load_pepper(settings.home_path)
            await upgrade(database)
            async with opened_keys(settings, database) as keys:
                await keys.current("org-1", day_of(time.time() + SECONDS))

    asyncio.run(run())


def test_keys_that_are_not_there_yet_are_not_made(settings: Settings, tmp_path: Path) -> None:
    found = keeping.content_keys(settings)
    assert found.state == "ok" and "is made at the first start" in found.detail
    elsewhere = msgspec.structs.replace(settings, content_keys=f"sqlite+aiosqlite:///{tmp_path / 'k.db'}")
    assert keeping.content_keys(elsewhere).state == "ok"
    assert list(settings.home_path.iterdir()) == [] and not (tmp_path / "k.db").exists()


def test_keys_in_the_data_folder(settings: Settings) -> None:
    used(settings)
    before = (settings.home_path / KEYS_NAME).read_bytes()
    found = keeping.content_keys(settings)
    assert found.state == "ok" and found.detail.endswith("can be read and written")
    with sqlite3.connect(settings.home_path / KEYS_NAME) as connection:
        [[number]] = connection.execute("select count(*) from sealing_key")
    connection.close()
    assert number == 1 and (settings.home_path / KEYS_NAME).read_bytes() == before, "nothing is changed"


def test_keys_that_content_needs_and_that_are_lost(settings: Settings, tmp_path: Path) -> None:
    used(settings)
    for path in settings.home_path.glob(f"{KEYS_NAME}*"):
        path.rename(tmp_path / path.name)
    found = keeping.content_keys(settings)
    assert found.state == "problem" and "is not there, and content is encrypted" in found.detail
    assert "restore the newest file of keys" in found.fix
    other = tmp_path / "other"
    other.mkdir()
    used(Settings(home=str(other)))
    chosen = msgspec.structs.replace(settings, content_keys=f"sqlite+aiosqlite:///{other / KEYS_NAME}")
    found = keeping.content_keys(chosen)
    assert found.state == "problem" and "lacks keys, and content is encrypted" in found.detail


def test_the_database_of_the_content_is_refused_under_any_name(settings: Settings) -> None:
    used(settings)
    for name in (settings.home, f"{settings.home}/../home"):
        chosen = msgspec.structs.replace(settings, content_keys=f"sqlite+aiosqlite:///{name}/antiphon.db")
        with pytest.raises(ConfigurationError, match="names the database of the content") as refused:
            keeping.content_keys(chosen)
        assert "name another database" in refused.value.fix


def test_a_database_of_keys_by_its_state(settings: Settings, store: PostgresDatabase) -> None:
    chosen = msgspec.structs.replace(settings, content_keys=store.url)
    assert keeping.content_keys(chosen) == Finding(
        "ok", f"{shown(store.url)} has no keys yet: their table is made at the first start"
    )
    used(chosen)
    assert keeping.content_keys(chosen) == Finding("ok", f"{shown(store.url)} can be read and written")
    assert store.execute("select count(*) from sealing_key") == "1"

    store.execute("create role reader login")
    try:
        store.execute("grant select on sealing_key to reader")
        reader = store.url.replace("postgres@", "reader@")
        found = keeping.content_keys(msgspec.structs.replace(chosen, content_keys=reader))
        assert found.state == "problem" and "permission denied" in found.detail and "INSERT" in found.fix
    finally:
        store.execute("drop owned by reader")
        store.execute("drop role reader")

    store.execute("alter table sealing_key drop column secret")
    assert "lacks secret" in keeping.content_keys(chosen).detail
    store.execute("drop table sealing_key")
    found = keeping.content_keys(chosen)
    assert found.state == "problem" and "has no keys yet, and content is encrypted" in found.detail


def test_a_database_of_keys_that_is_away(settings: Settings) -> None:
    url = f"postgresql://me:hunter2@127.0.0.1:{free_port()}/keys"
    found = keeping.content_keys(msgspec.structs.replace(settings, content_keys=url))
    assert found.state == "problem" and found.detail.endswith("cannot be used")
    assert "hunter2" not in found.detail and "ANTIPHON_CONTENT_KEYS" in found.fix


def shown(url: str) -> str:
    return url.replace("postgresql://", "postgresql+asyncpg://")


def test_recordings_in_the_data_folder(settings: Settings) -> None:
    assert keeping.content_storage(settings) == Finding("ok", "recordings lie in the data folder")


def test_recordings_in_a_bucket(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import boto3

    with bucket_server.serving() as url:
        bucket_server.named(url, monkeypatch, tmp_path)
        chosen = msgspec.structs.replace(settings, content_storage="s3://kept/antiphon")
        found = keeping.content_storage(chosen)
        assert found.state == "problem" and "cannot be put (S3" in found.detail
        assert "see that the bucket is there" in found.fix
        client = boto3.client("s3")
        client.create_bucket(Bucket="kept")
        assert keeping.content_storage(chosen) == Finding(
            "ok", "s3://kept/antiphon: an object was put, read and deleted"
        )
        assert client.list_objects_v2(Bucket="kept")["KeyCount"] == 0
        client.close()


def test_a_bucket_that_is_away(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bucket_server.named("http://127.0.0.1:9", monkeypatch, tmp_path)
    found = keeping.content_storage(msgspec.structs.replace(settings, content_storage="s3://kept"))
    assert found.state == "problem" and "S3 cannot be used" in found.detail

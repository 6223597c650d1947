from __future__ import annotations

import asyncio
import logging
import shutil
import sqlite3
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from antiphon.errors import ConfigurationError, StorageFull, Unavailable
from antiphon.storage import sqlite
from antiphon.storage.database import Database


def carrying(version: str) -> ModuleType:
    module = ModuleType("fake")
    module.sqlite_version = version  # type: ignore[attr-defined]
    module.sqlite_version_info = tuple(map(int, version.split(".")))  # type: ignore[attr-defined]
    return module


async def one(database: Database, sql: str) -> object:
    async with database.connect() as connection:
        return await connection.scalar(text(sql))


@pytest.mark.requirement("R26")
async def test_every_connection_runs_a_safe_sqlite(tmp_path: Path) -> None:
    async with Database(f"sqlite+aiosqlite:///{tmp_path}/a.db") as database:
        version = str(await one(database, "select sqlite_version()"))
    assert tuple(map(int, version.split("."))) >= (3, 51, 3)


async def test_every_connection_is_durable_shared_small_and_strict(tmp_path: Path) -> None:
    async with Database(f"sqlite+aiosqlite:///{tmp_path}/a.db") as database:
        assert await one(database, "pragma journal_mode") == "wal"
        assert await one(database, "pragma synchronous") == 2
        assert await one(database, "pragma cache_size") == -512
        assert await one(database, "pragma foreign_keys") == 1
        assert await one(database, "pragma busy_timeout") == 5000


async def test_the_file_is_private(tmp_path: Path) -> None:
    async with Database(f"sqlite+aiosqlite:///{tmp_path}/home/a.db") as database:
        await one(database, "select 1")
        for path in (tmp_path / "home").iterdir():
            assert path.stat().st_mode & 0o777 == 0o600, path
    assert (tmp_path / "home").stat().st_mode & 0o777 == 0o700


def test_the_first_safe_module_is_taken() -> None:
    old, safe, newer = map(carrying, ("3.51.2", "3.51.3", "3.60.0"))
    assert sqlite.safe([old, safe, newer]) is safe


@pytest.mark.requirement("R26")
@pytest.mark.parametrize("versions", [("3.40.1", "3.51.2"), ()])
def test_without_a_safe_sqlite_nothing_starts(versions: tuple[str, ...]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        sqlite.safe(map(carrying, versions))
    assert "3.51.3" in caught.value.message and "pysqlite3" in caught.value.fix


def test_a_machine_without_pysqlite3_offers_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pysqlite3", None)
    assert sqlite.installed() == [sqlite3]


@pytest.mark.parametrize("rest", ["", "/:memory:", "/a.db?mode=memory"])
def test_only_a_plain_file_is_accepted(rest: str) -> None:
    with pytest.raises(ConfigurationError):
        sqlite.create_engine(make_url(f"sqlite+aiosqlite://{rest}"), 1.0)


async def test_a_file_system_without_wal_is_refused_and_the_connection_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[sqlite3.Connection] = []

    def connect(_: Path, **options: object) -> sqlite3.Connection:
        # A database in memory has no WAL either.
        opened.append(sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False))
        return opened[0]

    real = sqlite.safe(sqlite.installed())
    fake = SimpleNamespace(**{**vars(real), "connect": connect})
    monkeypatch.setattr(sqlite, "safe", lambda _: fake)
    async with Database(f"sqlite+aiosqlite:///{tmp_path}/a.db") as database:
        with pytest.raises(ConfigurationError, match="file system"):
            await one(database, "select 1")
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        opened[0].execute("select 1")


@pytest.fixture
def database_file(migrated_sqlite: Path, tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{shutil.copy(migrated_sqlite, tmp_path / 'a.db')}"


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path}/a.db"


def _count(folder: Path, what: bytes) -> int:
    return sum(path.read_bytes().count(what) for path in folder.iterdir())


@pytest.mark.parametrize("by", ["begin", "run"])
async def test_what_is_deleted_is_not_left_in_free_pages(url: str, tmp_path: Path, by: str) -> None:
    rows = [{"n": number, "what": f"canary-{number}-" + "x" * 9000} for number in range(20)]
    async with Database(url) as database:
        async with database.begin() as connection:
            await connection.execute(text("create table t (n integer primary key, what text)"))
            await connection.execute(text("insert into t values (:n, :what)"), rows)
        if by == "run":
            await database.run(lambda connection: connection.execute(text("delete from t where n < 19")))
        else:
            async with database.begin() as connection:
                await connection.execute(text("delete from t where n < 19"))
    # Whoever closes last has written the log into the file.
    assert _count(tmp_path, b"canary-") == 1


async def test_two_that_read_and_then_write_take_turns(url: str) -> None:
    async def add() -> None:
        async with database.begin() as connection:
            seen = await connection.scalar(text("select count(*) from t"))
            await connection.execute(text("insert into t values (:n)"), {"n": seen})

    async with Database(url) as database:
        async with database.begin() as connection:
            await connection.execute(text("create table t (n integer unique)"))
        await asyncio.gather(*(add() for _ in range(8)))
        assert await one(database, "select max(n) from t") == 7


@pytest.mark.fault("the disk of the database is full")
async def test_a_full_disk_is_storage_full_and_reading_goes_on(url: str) -> None:
    async with Database(url) as database:
        async with database.begin() as connection:
            await connection.execute(text("create table t (content blob)"))
        with pytest.raises(StorageFull):
            async with database.begin() as connection:
                await connection.execute(text("pragma max_page_count = 8"))
                await connection.execute(text("insert into t (content) values (zeroblob(1000000))"))
        assert await one(database, "select count(*) from t") == 0


async def test_a_writer_that_waits_too_long_is_unavailable(url: str) -> None:
    async with Database(url) as first, Database(url, 0.05) as other, first.begin():
        with pytest.raises(Unavailable) as caught:
            async with other.begin():
                raise AssertionError("two writers at once")
    assert caught.value.retry_after == 1


async def test_a_file_that_is_no_database_is_unavailable_and_logged_without_values(
    tmp_path: Path, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.db").write_bytes(b"not a database, whatever it is" * 100)
    async with Database(url) as database:
        with caplog.at_level(logging.ERROR), pytest.raises(Unavailable) as caught:
            await one(database, "select count(*) from t")
    assert "file is not a database" in caplog.text
    assert "a.db" not in caught.value.message


async def test_rows_that_lost_what_they_belong_to_are_found_before_they_are_kept(database_file: str) -> None:
    async with Database(database_file) as database:
        with pytest.raises(ConfigurationError, match="project has rows that belong to none of organization"):
            async with database.alone() as connection:
                await connection.execute(text("insert into project values ('proj_1', 'org-9', 'p', 1, null)"))
        assert await one(database, "select count(*) from project") == 0


async def test_a_writer_that_is_apart_waits_for_one_of_the_others_at_most(url: str) -> None:
    order: list[int] = []
    first, go_on = asyncio.Event(), asyncio.Event()

    async def write(where: Database, number: int) -> None:
        async with where.begin():
            order.append(number)
            first.set()
            await go_on.wait()

    async with Database(url) as database, database.apart() as apart:
        line = [asyncio.create_task(write(database, number)) for number in range(20)]
        await first.wait()
        ahead = asyncio.create_task(write(apart, 99))
        await asyncio.sleep(0)
        go_on.set()
        await asyncio.gather(ahead, *line)
    assert order == [0, 99, *range(1, 20)]


ENDLESS = "with recursive c(n) as (select 1 union all select n + 1 from c) select count(*) from c"


async def test_a_statement_that_works_too_long_is_ended_and_the_next_one_is_not(url: str) -> None:
    async with Database(url, 0.1) as database:
        for _ in range(2):
            with pytest.raises(Unavailable):
                await one(database, ENDLESS)
            assert await one(database, "select 1") == 1


async def test_many_short_statements_may_take_longer(url: str) -> None:
    counted = (
        "with recursive c(n) as (select 1 union all select n + 1 from c limit 20000) select count(*) from c"
    )
    async with Database(url, 1.0) as database, database.begin() as connection:
        until = asyncio.get_running_loop().time() + 1.2
        while asyncio.get_running_loop().time() < until:
            assert await connection.scalar(text(counted)) == 20000


async def test_a_statement_nobody_waits_for_gives_its_connection_back(url: str) -> None:
    async with Database(url, 60.0) as database:
        reading = [asyncio.create_task(one(database, ENDLESS)) for _ in range(8)]
        done, _ = await asyncio.wait(reading, timeout=0.2)
        assert not done
        for task in reading:
            task.cancel()
        async with asyncio.timeout(5):
            await asyncio.wait(reading)
            assert await one(database, "select 1") == 1


async def test_writers_of_a_process_have_their_turns_in_order(tmp_path: Path) -> None:
    order: list[int] = []
    async with Database(f"sqlite+aiosqlite:///{tmp_path / 'antiphon.db'}") as database:

        async def write(number: int) -> None:
            async with database.begin():
                order.append(number)

        await asyncio.gather(*map(write, range(50)))
    assert order == list(range(50))

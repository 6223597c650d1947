"""What both databases promise; what only one of them does has a file of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from sqlalchemy import exc, inspect, text
from sqlalchemy.ext.asyncio import AsyncConnection

from antiphon.errors import ConfigurationError, Unavailable
from antiphon.storage import postgresql, sqlite
from antiphon.storage.database import Database


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with Database(database_url) as database:
        async with database.begin() as connection:
            await connection.execute(text("create table t (n integer unique)"))
        yield database


async def count(database: Database) -> object:
    async with database.connect() as connection:
        return await connection.scalar(text("select count(*) from t"))


async def insert(connection: AsyncConnection, n: int) -> None:
    await connection.execute(text("insert into t (n) values (:n)"), {"n": n})


async def test_what_was_begun_is_committed(database: Database) -> None:
    async with database.begin() as connection:
        await insert(connection, 1)
    assert await count(database) == 1


async def test_an_exception_undoes_everything_even_tables(database: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        async with database.begin() as connection:
            await insert(connection, 1)
            await connection.execute(text("create table u (n integer)"))
            raise ZeroDivisionError
    assert await count(database) == 0
    async with database.connect() as connection:
        assert not await connection.run_sync(lambda c: inspect(c).has_table("u"))


async def test_a_cancelled_writer_undoes_everything_and_lets_the_next_one_in(database: Database) -> None:
    written = asyncio.Event()

    async def stay() -> None:
        async with database.begin() as connection:
            await insert(connection, 1)
            written.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(stay())
    await written.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with database.begin() as connection:
        await insert(connection, 2)
    assert await count(database) == 1


async def test_two_that_work_alone_take_turns(database: Database) -> None:
    async def add() -> None:
        async with database.alone() as connection:
            seen = await connection.scalar(text("select count(*) from t"))
            await insert(connection, int(str(seen)))

    await asyncio.gather(*(add() for _ in range(8)))
    assert await count(database) == 8


async def test_a_reader_stays_at_one_moment_while_another_writes(database: Database) -> None:
    async with database.connect() as reader:
        assert await reader.scalar(text("select count(*) from t")) == 0
        async with database.begin() as writer:
            await insert(writer, 1)
        assert await reader.scalar(text("select count(*) from t")) == 0
    assert await count(database) == 1


async def test_too_many_at_once_are_unavailable(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "POOL_SECONDS", 0.05)
    monkeypatch.setattr(postgresql, "POOL_SECONDS", 0.05)
    async with Database(database_url) as database, AsyncExitStack() as readers:
        for _ in range(8):
            await readers.enter_async_context(database.connect())
        with pytest.raises(Unavailable):
            await count(database)


async def test_what_is_apart_has_connections_of_its_own(database: Database) -> None:
    async with database.apart() as apart, AsyncExitStack() as readers:
        assert apart.address == database.address
        for _ in range(8):
            await readers.enter_async_context(database.connect())
        async with asyncio.timeout(5):
            assert await count(apart) == 0


async def test_a_broken_constraint_is_for_the_caller_and_names_no_values(database: Database) -> None:
    with pytest.raises(exc.IntegrityError) as caught:
        async with database.begin() as connection:
            await insert(connection, 77177)
            await insert(connection, 77177)
    assert "77177" not in str(caught.value)


@pytest.mark.parametrize("url", ["sqlite:///a.db", "postgresql+psycopg://x/y", "mysql://x", "nonsense", ""])
def test_other_databases_are_refused_with_a_fix(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Database(url)
    assert caught.value.fix

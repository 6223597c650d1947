"""What only PostgreSQL does: addresses, limits of time, and servers that are killed, paused or full."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import pytest
from sqlalchemy import exc, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection

from antiphon.errors import ConfigurationError, StorageFull, Unavailable
from antiphon.storage import postgresql as driver
from antiphon.storage.database import Database
from servers import PostgresDatabase

SECONDS = 0.3
"""What a statement may take here."""
SOON = 6.0


@pytest.fixture
async def served(postgresql: PostgresDatabase) -> AsyncIterator[Database]:
    async with Database(postgresql.url, SECONDS) as database:
        assert await one(database) == 1
        yield database


async def one(database: Database, sql: str = "select 1") -> object:
    async with database.connect() as connection:
        return await connection.scalar(text(sql))


async def write(connection: AsyncConnection, name: str = "a") -> None:
    await connection.execute(
        text("insert into account (name, balance) values (:name, 77177)"), {"name": name}
    )


async def unavailable(work: Awaitable[Any]) -> None:
    """`work` ends as `Unavailable`, and soon."""
    began = time.monotonic()
    with pytest.raises(Unavailable) as caught:
        await work
    assert time.monotonic() - began < SOON
    assert caught.value.retry_after == 1


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
async def test_every_form_of_the_address_is_understood(postgresql: PostgresDatabase, scheme: str) -> None:
    async with Database(postgresql.url.replace("postgresql", scheme, 1)) as database:
        assert await one(database, "select current_database()") == postgresql.name


async def test_an_address_is_shown_without_its_password(postgresql: PostgresDatabase) -> None:
    async with Database(postgresql.url.replace("postgres@", "postgres:hunter2@")) as database:
        assert await one(database) == 1
        assert "hunter2" not in database.address + repr(vars(database))


def test_the_usual_name_of_the_option_for_tls_is_understood() -> None:
    given = make_url("postgresql+asyncpg://u@h/d?sslmode=require")
    assert driver._with_tls(given).query == {"ssl": "require"}


def test_an_unknown_option_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match="'application_name'"):
        Database("postgres://h/d?application_name=x")


async def test_a_server_that_is_not_there_is_unavailable_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Database("postgres://u:hunter2@127.0.0.1:1/x") as database:
        with caplog.at_level(logging.ERROR):
            await unavailable(one(database))
    assert "127.0.0.1" in caplog.text and "hunter2" not in caplog.text


async def test_a_database_that_is_not_there_is_unavailable(postgresql: PostgresDatabase) -> None:
    async with Database(postgresql.server.url("nowhere")) as database:
        await unavailable(one(database))


async def test_a_killed_server_is_unavailable_until_it_is_back_with_what_was_committed(
    served: Database, postgresql: PostgresDatabase
) -> None:
    async with served.begin() as connection:
        await write(connection)
    postgresql.kill()
    await unavailable(one(served))
    postgresql.restart()
    assert await one(served, "select balance from account") == 77177


async def test_a_server_killed_in_the_middle_undoes_the_transaction(
    served: Database, postgresql: PostgresDatabase
) -> None:
    async def interrupted() -> None:
        async with served.begin() as connection:
            await write(connection)
            postgresql.kill()
            await write(connection, "b")

    await unavailable(interrupted())
    postgresql.restart()
    assert await one(served, "select count(*) from account") == 0


async def test_connections_from_before_a_restart_cost_nobody_a_failure(
    served: Database, postgresql: PostgresDatabase
) -> None:
    await asyncio.gather(*(one(served, "select pg_sleep(0.05)") for _ in range(4)))
    postgresql.kill()
    postgresql.restart()
    assert await asyncio.gather(*(one(served) for _ in range(4))) == [1] * 4


async def test_a_paused_server_holds_nobody_for_long(served: Database, postgresql: PostgresDatabase) -> None:
    postgresql.stop()
    await unavailable(one(served))
    async with Database(postgresql.url, SECONDS) as other:  # without a connection yet
        await unavailable(one(other))
    postgresql.cont()
    assert await one(served) == 1


async def test_a_server_paused_in_the_middle_holds_nobody_for_long(
    served: Database, postgresql: PostgresDatabase
) -> None:
    async def interrupted() -> None:
        async with served.begin() as connection:
            await write(connection)
            postgresql.stop()
            await write(connection, "b")

    await unavailable(interrupted())
    postgresql.cont()
    assert await one(served, "select count(*) from account") == 0


async def test_who_gives_up_on_a_paused_server_is_let_go_and_leaves_nothing(
    served: Database, postgresql: PostgresDatabase
) -> None:
    async def long() -> None:
        async with served.begin() as connection:
            await write(connection)
            postgresql.stop()
            await write(connection, "b")

    began = time.monotonic()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(long(), 0.1)
    assert time.monotonic() - began < SOON
    postgresql.cont()
    assert await one(served, "select count(*) from account") == 0


async def test_a_statement_that_works_too_long_is_ended_by_the_server(served: Database) -> None:
    await unavailable(one(served, "select pg_sleep(30)"))
    assert await one(served, "select count(*) from pg_stat_activity where query like '%pg_sleep(30)%'") == 1


async def test_a_lock_is_not_waited_for_any_longer(served: Database) -> None:
    async def take() -> None:
        async with served.begin() as connection:
            await connection.execute(text("lock table account"))

    async with served.begin() as connection:
        await connection.execute(text("lock table account"))
        await unavailable(take())


async def test_deadlocks_and_lost_updates_are_unavailable(served: Database) -> None:
    async def raising(state: str) -> None:
        async with served.begin() as connection:
            await connection.execute(text(f"do $$ begin raise sqlstate '{state}'; end $$"))

    for state in ("40P01", "40001", "57P01", "53300"):
        await unavailable(raising(state))
    with pytest.raises(StorageFull):
        await raising("53100")


async def test_a_wrong_statement_or_value_stays_what_it_is(served: Database) -> None:
    with pytest.raises(exc.ProgrammingError):
        await one(served, "select * from nowhere")
    with pytest.raises(exc.DBAPIError) as caught:
        async with served.begin() as connection:
            await connection.execute(text("insert into account values (:n, 1)"), {"n": 5})
    assert not isinstance(caught.value, Unavailable)


async def test_a_reader_cannot_write(served: Database) -> None:
    async with served.connect() as connection:
        with pytest.raises(exc.DBAPIError):
            await write(connection)
    async with served.begin() as connection:  # on the same connection, given back
        await write(connection)

"""Transactions that are one function: what both databases promise, and what SQLite's thread adds."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, exc, text

from antiphon.errors import StorageFull, Unavailable
from antiphon.storage.database import Database

ENDLESS = "with recursive c(n) as (select 1 union all select n + 1 from c) select count(*) from c"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with Database(database_url) as database:
        await database.run(lambda c: c.execute(text("create table t (n integer unique)")))
        yield database


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path}/a.db"


def insert(connection: Connection, n: int) -> int:
    return connection.execute(text("insert into t (n) values (:n)"), {"n": n}).rowcount


def count(connection: Connection) -> int:
    return int(connection.execute(text("select count(*) from t")).scalar_one())


async def test_what_it_answers_is_committed_and_seen_by_the_others(database: Database) -> None:
    assert await database.run(lambda c: insert(c, 1)) == 1
    async with database.connect() as connection:
        assert await connection.run_sync(count) == 1


async def test_an_exception_undoes_everything(database: Database) -> None:
    def fail(connection: Connection) -> None:
        insert(connection, 1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await database.run(fail)
    assert await database.run(count) == 0


async def test_a_broken_constraint_is_for_the_caller_and_names_no_values(database: Database) -> None:
    await database.run(lambda c: insert(c, 77177))
    with pytest.raises(exc.IntegrityError) as caught:
        await database.run(lambda c: insert(c, 77177))
    assert "77177" not in str(caught.value)


async def test_those_that_read_and_then_write_take_turns_with_every_other_writer(database: Database) -> None:
    await database.run(lambda c: insert(c, 0))
    number = text("update t set n = n + 1")

    async def step_by_step() -> None:
        async with database.begin() as connection:
            await connection.execute(number)

    async with database.apart() as apart:
        whole = [where.run(lambda c: c.execute(number)) for where in (database, apart) for _ in range(8)]
        await asyncio.gather(*whole, *(step_by_step() for _ in range(8)))
    assert await database.run(lambda c: c.scalar(text("select n from t"))) == 24


async def test_a_transaction_is_one_step_of_the_loop(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many statements it has: on a busy loop each step waits for a turn of all others."""
    loop, steps = asyncio.get_running_loop(), 0
    call_soon_threadsafe = loop.call_soon_threadsafe

    def counted(callback: Callable[..., Any], *arguments: Any, **options: Any) -> asyncio.Handle:
        nonlocal steps
        steps += 1
        return call_soon_threadsafe(callback, *arguments, **options)

    def work(connection: Connection) -> int:
        connection.execute(text("create table t (n integer unique)"))
        return sum(insert(connection, n) for n in range(30))

    async with Database(url) as database:
        monkeypatch.setattr(loop, "call_soon_threadsafe", counted)
        assert await database.run(work) == 30
        monkeypatch.undo()
    assert steps == 1


async def test_it_never_runs_on_the_loops_thread(url: str) -> None:
    async with Database(url) as database:
        names = {await database.run(lambda _: threading.get_ident()) for _ in range(3)}
    assert len(names) == 1 and threading.get_ident() not in names


async def test_the_connection_is_durable_and_strict(url: str) -> None:
    async with Database(url) as database:
        for name, value in [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1)]:
            assert await database.run(lambda c, name=name: c.scalar(text(f"pragma {name}"))) == value


async def test_a_statement_that_works_too_long_is_ended_and_the_next_one_is_not(url: str) -> None:
    async with Database(url, 0.1) as database:
        for _ in range(2):
            with pytest.raises(Unavailable):
                await database.run(lambda c: c.scalar(text(ENDLESS)))
            assert await database.run(lambda c: c.scalar(text("select 1"))) == 1


async def test_many_short_statements_may_take_longer(url: str) -> None:
    def work(connection: Connection) -> int:
        until, done = time.monotonic() + 0.3, 0
        while time.monotonic() < until:
            done += int(connection.execute(text("select 1")).scalar_one())
            time.sleep(0.01)
        return done

    async with Database(url, 0.1) as database:
        assert await database.run(work) > 10


async def test_what_nobody_waits_for_is_undone_and_lets_the_next_one_in(url: str) -> None:
    def work(connection: Connection) -> None:
        insert(connection, 1)
        connection.execute(text(ENDLESS))

    async with Database(url, 60.0) as database:
        await database.run(lambda c: c.execute(text("create table t (n integer unique)")))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await database.run(work)
        async with asyncio.timeout(5):
            assert await database.run(count) == 0


async def test_whoever_is_cancelled_in_line_leaves_the_others_their_turns(url: str) -> None:
    async with Database(url) as database, AsyncExitStack() as held:
        await held.enter_async_context(database.begin())
        waiting = [asyncio.create_task(database.run(lambda c: c.scalar(text("select 1")))) for _ in range(3)]
        await asyncio.sleep(0.01)
        waiting[1].cancel()
        await held.aclose()
        found = await asyncio.gather(*waiting, return_exceptions=True)
    assert found[0] == found[2] == 1 and isinstance(found[1], asyncio.CancelledError)


async def test_a_writer_that_waits_too_long_is_unavailable(url: str) -> None:
    async with Database(url) as first, Database(url, 0.05) as other, first.begin():
        with pytest.raises(Unavailable):
            await other.run(lambda c: c.scalar(text("select 1")))


async def test_a_full_disk_is_storage_full(url: str) -> None:
    def fill(connection: Connection) -> None:
        connection.execute(text("pragma max_page_count = 8"))
        connection.execute(text("insert into t values (zeroblob(1000000))"))

    async with Database(url) as database:
        await database.run(lambda c: c.execute(text("create table t (content blob)")))
        with pytest.raises(StorageFull):
            await database.run(fill)

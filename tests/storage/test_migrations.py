from __future__ import annotations

import asyncio
import hmac
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncConnection

from antiphon.errors import ConfigurationError
from antiphon.storage.audit_proof import heads, verify
from antiphon.storage.database import Database
from antiphon.storage.migrations import state, steps, upgrade
from antiphon.storage.tables import metadata
from audit_rows import PEPPER
from servers import PostgresServer, fresh_database


@pytest.fixture(params=["sqlite", "postgresql"])
async def empty(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """A database without any table, on each kind."""
    if request.param == "sqlite":
        async with Database(f"sqlite+aiosqlite:///{tmp_path}/empty.db") as database:
            yield database
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    with fresh_database(server) as fresh:
        async with Database(fresh.url) as database:
            yield database


async def execute(database: Database, sql: str) -> None:
    async with database.begin() as connection:
        await connection.execute(text(sql))


async def tables(database: Database) -> set[str]:
    async with database.connect() as connection:
        return set(await connection.run_sync(lambda c: inspect(c).get_table_names()))


def steps_to(connection: Connection, revision: str) -> None:
    steps.run(connection, revision)


def differences(connection: Connection) -> list[object]:
    return compare_metadata(MigrationContext.configure(connection), metadata)


def constraints(connection: Connection) -> set[object]:
    inspector = inspect(connection)
    found: set[object] = set()
    for table in metadata.tables:
        found.add((table, inspector.get_pk_constraint(table)["name"]))
        found.update((table, key["name"]) for key in inspector.get_foreign_keys(table))
        found.update((table, key["name"]) for key in inspector.get_unique_constraints(table))
        found.update((table, index["name"]) for index in inspector.get_indexes(table))
    return found


async def test_steps_are_read_before_anybody_has_to_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That takes long on a busy machine, and a server of an older version may be at work."""
    name, alone, there = steps.__name__, Database.alone, []

    def looked(database: Database) -> AbstractAsyncContextManager[AsyncConnection]:
        there.append(name in sys.modules)
        return alone(database)

    monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(Database, "alone", looked)
    async with Database(f"sqlite+aiosqlite:///{tmp_path}/empty.db") as database:
        await upgrade(database)
    assert there == [True]


async def test_the_migrations_make_exactly_the_tables_of_the_code(
    database: Database, empty: Database, request: pytest.FixtureRequest
) -> None:
    async with database.connect() as connection:
        assert await connection.run_sync(differences) == []
        migrated = await connection.run_sync(constraints)
        kind = connection.dialect.name
    async with empty.begin() as connection:
        await connection.run_sync(metadata.create_all)
        if connection.dialect.name == kind:
            assert migrated == await connection.run_sync(constraints)


async def test_a_difference_would_be_found(database: Database) -> None:
    await execute(database, "alter table project add column surplus text")
    async with database.connect() as connection:
        assert await connection.run_sync(differences) != []


async def test_a_new_database_is_brought_to_the_head_and_stays_there(empty: Database) -> None:
    before = await state(empty)
    assert before.revision is None and before.ours and not before.current
    await upgrade(empty)
    after = await state(empty)
    assert after.current and after.revision == after.head == before.head
    await upgrade(empty)
    assert await state(empty) == after


async def test_processes_that_start_at_once_take_turns(empty: Database) -> None:
    url = empty._url.render_as_string(hide_password=False)
    async with Database(url) as second, Database(url) as third:
        await asyncio.gather(upgrade(empty), upgrade(second), upgrade(third))
    assert (await state(empty)).current


async def test_what_an_older_version_stored_is_kept(empty: Database) -> None:
    async with empty.begin() as connection:
        await connection.run_sync(steps_to, "0001")
    await execute(empty, "insert into organization values ('org-1', 'default', 1)")
    await execute(empty, "insert into project values ('proj_1', 'org-1', 'default', 1)")
    async with empty.begin() as connection:
        await connection.execute(
            text("insert into api_key values ('key_1', 'proj_1', 'k', :digest, 'sk-…', 1, null, null, null)"),
            {"digest": b"\x01" * 32},
        )
    await upgrade(empty)
    async with empty.connect() as connection:
        key = (await connection.execute(metadata.tables["api_key"].select())).one()
        secret = (await connection.execute(metadata.tables["api_key_secret"].select())).one()
        assert await connection.scalar(text("select prepaid from organization")) in (False, 0)
    assert (key.id, key.kind, key.organization_id, key.scopes) == (
        "key_1",
        "project",
        "org-1",
        "chat audio models",
    )
    assert (secret.key_id, secret.digest) == ("key_1", b"\x01" * 32)


async def test_keys_that_an_older_version_retired_are_retired_from_now_on(empty: Database) -> None:
    async with empty.begin() as connection:
        await connection.run_sync(steps_to, "0009")
    await execute(empty, "insert into content_key values ('ckey_1', 'org-1', '2026-11-28', true)")
    await execute(empty, "insert into content_key values ('ckey_2', 'org-1', '2026-11-28', null)")
    began = int(time.time())
    await upgrade(empty)
    async with empty.connect() as connection:
        query = text("select id, retired_at from content_key order by id")
        [current, retired] = (await connection.execute(query)).all()
    assert current.retired_at is None and began <= retired.retired_at <= time.time()


async def test_the_log_of_an_older_version_is_chained_and_sealed(empty: Database) -> None:
    async with empty.begin() as connection:
        await connection.run_sync(steps_to, "0007")
    await execute(empty, "insert into organization values ('org-1', 'a', 1, false), ('org-2', 'b', 1, false)")
    rows = (f"('audit_log-{n:05}', 'org-{n % 2 + 1}', 't', {n}, null, null, '{{}}')" for n in range(2500))
    await execute(empty, f"insert into audit_log values {', '.join(rows)}")
    check = hmac.digest(PEPPER, b"installation", "sha256")
    async with empty.begin() as connection:
        await connection.execute(text("insert into installation values (1, :check)"), {"check": check})
    with pytest.raises(ConfigurationError, match="the pepper in the data folder"):
        await upgrade(empty)
    async with Database(empty._url.render_as_string(hide_password=False), pepper=PEPPER) as database:
        await upgrade(database)
        async with database.connect() as connection:
            assert await connection.run_sync(verify, PEPPER) == []
            ends = await connection.run_sync(heads)
    assert [(end.chain, end.sequence) for end in ends] == [
        ("installation", 2),
        ("org-1", 1250),
        ("org-2", 1250),
    ]


async def test_a_database_of_a_newer_version_is_refused_and_left_alone(database: Database) -> None:
    await execute(database, "update alembic_version set version_num = '9999'")
    with pytest.raises(ConfigurationError, match="9999") as caught:
        await upgrade(database)
    assert "newer version" in caught.value.fix
    found = await state(database)
    assert found.revision == "9999" and not found.ours


async def test_a_database_that_lacks_something_is_refused_and_told_what(database: Database) -> None:
    await execute(database, "drop table idempotency")
    await execute(database, "alter table price drop column output")
    with pytest.raises(ConfigurationError, match="lacks idempotency, price.output$") as caught:
        await upgrade(database)
    assert "backup" in caught.value.fix
    assert (await state(database)).missing == ["idempotency", "price.output"]


async def test_tables_without_a_revision_are_refused_and_left_alone(empty: Database) -> None:
    await execute(empty, "create table entry (id integer)")
    with pytest.raises(ConfigurationError, match="holds entry, but does not say"):
        await upgrade(empty)
    assert await tables(empty) == {"entry"}


async def test_a_step_that_does_not_fit_leaves_the_database_as_it_was(empty: Database) -> None:
    async with empty.begin() as connection:
        await connection.run_sync(steps_to, "0001")
    await execute(empty, "create table spend_limit (id integer)")  # which the third step makes
    before = await tables(empty)
    with pytest.raises(ConfigurationError, match="revision 0001, but is not: .*spend_limit"):
        await upgrade(empty)
    assert await tables(empty) == before
    assert (await state(empty)).revision == "0001"

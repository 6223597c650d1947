from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect, text

from antiphon.errors import ConfigurationError
from antiphon.storage.database import Database
from antiphon.storage.migrations import current, head, known, upgrade
from antiphon.storage.tables import metadata


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with Database(f"sqlite+aiosqlite:///{tmp_path}/a.db") as database:
        yield database


def differences(connection: Connection) -> list[object]:
    return compare_metadata(MigrationContext.configure(connection), metadata)


def constraints(connection: Connection) -> set[object]:
    inspector = inspect(connection)
    found: set[object] = set()
    for table in metadata.tables:
        found.add((table, inspector.get_pk_constraint(table)["name"]))
        found.update((table, key["name"]) for key in inspector.get_foreign_keys(table))
        found.update((table, key["name"]) for key in inspector.get_unique_constraints(table))
    return found


async def test_the_migrations_make_exactly_the_tables_of_the_code(database: Database, tmp_path: Path) -> None:
    await upgrade(database)
    async with database.connect() as connection:
        assert await connection.run_sync(differences) == []
        migrated = await connection.run_sync(constraints)
    async with Database(f"sqlite+aiosqlite:///{tmp_path}/b.db") as other, other.begin() as connection:
        await connection.run_sync(metadata.create_all)
        assert migrated == await connection.run_sync(constraints)


async def test_a_difference_would_be_found(database: Database) -> None:
    await upgrade(database)
    async with database.begin() as connection:
        await connection.execute(text("alter table project add column surplus text"))
        assert await connection.run_sync(differences) != []


async def test_a_new_database_is_brought_to_the_head_and_stays_there(database: Database) -> None:
    assert await current(database) is None
    await upgrade(database)
    assert await current(database) == head()
    assert head() in known()
    await upgrade(database)
    assert await current(database) == head()


async def test_processes_that_start_at_once_take_turns(database: Database, tmp_path: Path) -> None:
    async with Database(f"sqlite+aiosqlite:///{tmp_path}/a.db") as other:
        await asyncio.gather(upgrade(database), upgrade(other))
    assert await current(database) == head()


async def test_a_database_of_a_newer_version_is_refused_and_left_alone(database: Database) -> None:
    await upgrade(database)
    async with database.begin() as connection:
        await connection.execute(text("update alembic_version set version_num = '9999'"))
    with pytest.raises(ConfigurationError, match="9999") as caught:
        await upgrade(database)
    assert "newer version" in caught.value.fix
    assert await current(database) == "9999"

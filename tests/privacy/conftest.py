"""What tests of what is kept may ask for: organizations and projects, and a place where content is kept."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from antiphon.access.pepper import check_pepper
from antiphon.storage.database import Database
from privacy_house import House, housed
from tenants import PEPPER, World


@pytest.fixture
async def world(database: Database) -> World:
    """Nothing but tables: once over SQLite, once over PostgreSQL."""
    await check_pepper(database, PEPPER)
    return World(database)


@pytest.fixture
async def house(tmp_path: Path, migrated_sqlite: Path) -> AsyncIterator[House]:
    """Over SQLite, which is quick to make."""
    url = f"sqlite+aiosqlite:///{shutil.copy(migrated_sqlite, tmp_path / 'antiphon.db')}"
    async with Database(url) as database, housed(tmp_path, database, url) as house:
        yield house


@pytest.fixture
async def any_house(tmp_path: Path, database: Database, database_url: str) -> AsyncIterator[House]:
    """Over each kind of database."""
    async with housed(tmp_path, database, database_url) as house:
        yield house

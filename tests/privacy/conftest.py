"""Organizations and projects whose content is kept."""

from __future__ import annotations

import pytest

from antiphon.access.pepper import check_pepper
from antiphon.storage.database import Database
from tenants import PEPPER, World


@pytest.fixture
async def world(database: Database) -> World:
    """Nothing but tables: once over SQLite, once over PostgreSQL."""
    await check_pepper(database, PEPPER)
    return World(database)

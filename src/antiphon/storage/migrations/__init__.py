"""Bring a database to the tables of this version: `await upgrade(database)`.

Each file in `versions/` is one step, named after what it adds. Alembic runs them from here; there is no
configuration file.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from antiphon.errors import ConfigurationError
from antiphon.storage.database import Database


async def upgrade(database: Database) -> None:
    """Run what is missing, all of it or nothing; processes that start at once take turns.

    Raises `ConfigurationError` for a database that a newer version has written.
    """
    if await current(database) == await asyncio.to_thread(head):
        return
    async with database.begin() as connection:
        await connection.run_sync(_upgrade)


async def current(database: Database) -> str | None:
    """The revision that the database is at; None where nothing was ever made."""
    async with database.connect() as connection:
        return await connection.run_sync(_revision)


def head() -> str | None:
    """The revision that this version works with. Reads the disk."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def known() -> set[str]:
    """Every revision that this version can bring to its head. Reads the disk."""
    return {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}


def _upgrade(connection: Connection) -> None:
    revision = _revision(connection)
    if revision is not None and revision not in known():
        raise ConfigurationError(
            f"the database is at revision {revision}, which this version of Antiphon does not know",
            fix="start the newer version that wrote it, or use another data folder (--home)",
        )
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config

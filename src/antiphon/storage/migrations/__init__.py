"""Bring a database to the tables of this version: `await upgrade(database)`.

Each file in `versions/` is one step, named after its revision and what it adds; `steps` runs them. All
missing steps are one transaction, on SQLite and on PostgreSQL: a database that is only half there was made
so by something else, and is refused.
"""

from __future__ import annotations

import asyncio
from importlib import import_module
from pathlib import Path

import msgspec
from sqlalchemy import Connection, exc, inspect, text

from antiphon.errors import ConfigurationError
from antiphon.storage.database import Database
from antiphon.storage.tables import metadata

_BACKUP = "restore a whole backup, or name an empty database"


class State(msgspec.Struct, frozen=True):
    """Where a database stands."""

    revision: str | None
    """None where nothing was ever made."""
    head: str
    """The revision that this version works with."""
    ours: bool
    """Whether this version can bring it to its head."""
    missing: list[str]
    """Tables and columns that it should have at its head, and does not."""

    @property
    def current(self) -> bool:
        return self.revision == self.head and not self.missing


async def upgrade(database: Database) -> None:
    """Run what is missing, all of it or nothing; processes that start at once take turns.

    Raises `ConfigurationError` for a database that a newer version has written, or that is only half there.
    """
    found = await state(database)
    if found.revision != found.head:
        # Before anybody has to wait: a server of an older version may be writing, and go on with that.
        await asyncio.to_thread(import_module, f"{__name__}.steps")
        async with database.alone() as connection:
            await connection.run_sync(_upgrade)
        found = await state(database)
    if found.missing:
        lost = ", ".join(found.missing)
        raise ConfigurationError(
            f"the database says that it is at revision {found.revision}, but lacks {lost}", fix=_BACKUP
        )


async def state(database: Database) -> State:
    """Where `database` stands; changes nothing."""
    revisions = await asyncio.to_thread(_revisions)
    async with database.connect() as connection:
        revision = await connection.run_sync(_revision)
        missing = await connection.run_sync(_missing) if revision == revisions[0] else []
    return State(revision, revisions[0], revision is None or revision in revisions, missing)


def _upgrade(connection: Connection) -> None:
    revision = _revision(connection)
    if revision is not None and revision not in _revisions():
        raise ConfigurationError(
            f"the database is at revision {revision}, which this version of Antiphon does not know",
            fix="start the newer version that wrote it, or name another database",
        )
    if revision is None and (
        there := set(metadata.tables).intersection(inspect(connection).get_table_names())
    ):
        raise ConfigurationError(
            f"the database holds {', '.join(sorted(there))}, but does not say at which revision", fix=_BACKUP
        )
    from antiphon.storage.migrations import steps  # seldom needed, and then there by now

    try:
        steps.run(connection)
    except exc.DBAPIError as problem:
        if not _does_not_fit(problem):
            raise
        raise ConfigurationError(
            f"the database says that it is at revision {revision}, but is not: {problem.orig}", fix=_BACKUP
        ) from problem


def _does_not_fit(problem: exc.DBAPIError) -> bool:
    """Whether a step met something that is there already, or is not there."""
    error = getattr(problem.orig, "sqlite_errorname", "")
    return error == "SQLITE_ERROR" or isinstance(problem, exc.ProgrammingError)


def _missing(connection: Connection) -> list[str]:
    there = {
        table: {column["name"] for column in columns}
        for (_, table), columns in inspect(connection).get_multi_columns().items()
    }
    absent = [name for name in metadata.tables if name not in there]
    for name in there.keys() & metadata.tables.keys():
        absent += [
            f"{name}.{column.name}" for column in metadata.tables[name].c if column.name not in there[name]
        ]
    return sorted(absent)


def _revision(connection: Connection) -> str | None:
    """What Alembic wrote into its table."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def _revisions() -> list[str]:
    """Every revision that this version knows, its head first. Reads the disk."""
    names = (path.name for path in Path(__file__).with_name("versions").glob("r*.py"))
    return sorted((name[1:5] for name in names), reverse=True)

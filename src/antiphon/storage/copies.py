"""Copies of a whole database, of one moment, while others write: SQLite's file, or the rows of PostgreSQL.

Neither needs a program beside this one, nor more memory for a larger database.
"""

from __future__ import annotations

import base64
import os
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, LargeBinary, MetaData, Table, delete, func, insert, inspect, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from antiphon.errors import ConfigurationError
from antiphon.storage import sqlite
from antiphon.storage.database import Database
from antiphon.storage.migrations import steps

Show = Callable[[int, int], None]
"""Told how far a copy is, of how much."""

_PAGES = 2048
"""Pages of SQLite between two looks at how far it is: 8 MiB."""
_ROWS = 1000
_SECONDS = 600.0
_VERSIONS = "alembic_version"


class Head(msgspec.Struct, frozen=True):
    """The first line of rows: what they are of."""

    revision: str
    rows: int


class Of(msgspec.Struct, frozen=True):
    """A line before the rows of a table."""

    table: str
    columns: list[str]


def copy_file(source: Path, target: Path, show: Show) -> str:
    """Copy an SQLite database to a new private file; its revision, empty if it tells none.

    Writers go on meanwhile. What they have written to its log is in the copy, or not, transaction by
    transaction.
    """
    module = sqlite.safe(sqlite.installed())
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    # Of a file that is not there nothing is made.
    reader = module.connect(f"{source.absolute().as_uri()}?mode=rw", uri=True, timeout=_SECONDS)
    copy = module.connect(target, isolation_level=None)
    try:
        # While this connection reads, what it sees stays: else each write of another would begin it anew.
        reader.isolation_level = None
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM sqlite_master").fetchone()
        reader.backup(copy, pages=_PAGES, progress=lambda _, left, total: show(total - left, total), sleep=0)
        copy.execute("PRAGMA journal_mode = DELETE")
        there = copy.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (_VERSIONS,)).fetchone()
        return str(copy.execute(f"SELECT version_num FROM {_VERSIONS}").fetchone()[0]) if there else ""
    finally:
        copy.close()
        reader.close()


async def dump(
    database: Database, write: Callable[[bytes], object], show: Show, only: MetaData | None = None
) -> str:
    """Write every row of every table, a line of JSON each, as they stand at one moment; the revision.

    `only`: of these tables, which have no revision.

    Raises `ConfigurationError` for a database without tables.
    """
    async with database.connect() as connection:
        tables = await connection.run_sync(_tables, only)
        counts = [await connection.scalar(select(func.count()).select_from(table)) for table in tables]
        total, done = sum(count or 0 for count in counts), 0
        revision = "" if only is not None else await connection.run_sync(_revision)
        write(msgspec.json.encode(Head(revision, total)) + b"\n")
        for table in tables:
            write(msgspec.json.encode(Of(str(table.name), [str(column.name) for column in table.c])) + b"\n")
            async for rows in _rows(connection, table):
                write(b"".join(msgspec.json.encode(list(row)) + b"\n" for row in rows))
                show(done := done + len(rows), total)
    return revision


async def load(database: Database, lines: Iterable[bytes], show: Show, only: MetaData | None = None) -> None:
    """Fill an empty database with what `dump` wrote, at the revision that it had then: all of it, or nothing.

    `only`: the tables that `dump` was told of; others may be there, and these without rows.

    Raises `ConfigurationError` for one that has tables, and for lines that `dump` did not write.
    """
    async with database.alone() as connection:
        await connection.run_sync(_load, iter(lines), show, only)


async def is_empty(database: Database, only: MetaData | None = None) -> bool:
    """Whether `load` would fill it."""
    async with database.connect() as connection:
        return await connection.run_sync(_is_empty, only)


async def _rows(connection: AsyncConnection, table: Table) -> AsyncIterator[list[Any]]:
    result = await connection.stream(select(table))
    async for rows in result.partitions(_ROWS):
        yield list(rows)


def _is_empty(connection: Connection, only: MetaData | None) -> bool:
    there = inspect(connection).get_table_names()
    if only is None:
        return not there
    found = [table for table in only.sorted_tables if table.name in there]
    return not any(connection.execute(select(table).limit(1)).first() for table in found)


def _load(connection: Connection, lines: Iterator[bytes], show: Show, only: MetaData | None) -> None:
    if not _is_empty(connection, only):
        raise ConfigurationError("the database is not empty", fix="name one that is")
    try:
        head = msgspec.json.decode(next(lines, b""), type=Head)
        if only is None:
            steps.run(connection, head.revision)
        else:
            only.create_all(connection)
        tables = {table.name: table for table in _tables(connection, only)}
        done, of, into = 0, Of("", []), None
        for batch in _batches(lines):
            if isinstance(batch, Of):
                of, into = batch, tables[batch.table]
                _empty(connection, into)
            elif into is not None:
                connection.execute(insert(into), [_row(into, of.columns, row) for row in batch])
                show(done := done + len(batch), head.rows)
    except (msgspec.DecodeError, KeyError) as problem:
        raise ConfigurationError(
            f"the rows in the backup do not fit this version: {problem}",
            fix="restore with the version that made the backup, or a newer one",
        ) from None


def _empty(connection: Connection, table: Table) -> None:
    """Take out what the steps put into a new table, even where nothing may be taken out later on."""
    if connection.scalar(select(func.count()).select_from(table)):
        connection.execute(text(f"ALTER TABLE {table.name} DISABLE TRIGGER USER"))
        connection.execute(delete(table))
        connection.execute(text(f"ALTER TABLE {table.name} ENABLE TRIGGER USER"))


def _batches(lines: Iterator[bytes]) -> Iterator[Of | list[list[Any]]]:
    """Which table comes, and then its rows, some at a time."""
    rows: list[list[Any]] = []
    for line in lines:
        table = line.startswith(b"{")
        if rows and (table or len(rows) == _ROWS):
            yield rows
            rows = []
        if table:
            yield msgspec.json.decode(line, type=Of)
        else:
            rows.append(msgspec.json.decode(line, type=list[Any]))
    if rows:
        yield rows


def _row(table: Table, columns: list[str], values: list[Any]) -> dict[str, Any]:
    return {
        name: base64.b64decode(value)
        if value is not None and isinstance(table.c[name].type, LargeBinary)
        else value
        for name, value in zip(columns, values, strict=True)
    }


def _tables(connection: Connection, only: MetaData | None) -> list[Table]:
    """As they are in the database, whatever this version thinks of them: first those that others refer to."""
    there, wanted = MetaData(), None if only is None else list(only.tables)
    if wanted is not None and not set(wanted) <= set(inspect(connection).get_table_names()):
        raise _without_tables()
    there.reflect(connection, only=wanted)
    return [table for table in there.sorted_tables if table.name != _VERSIONS]


def _revision(connection: Connection) -> str:
    if not inspect(connection).has_table(_VERSIONS):
        raise _without_tables()
    versions = Table(_VERSIONS, MetaData(), autoload_with=connection)
    return str(connection.scalar(select(versions.c.version_num)))


def _without_tables() -> ConfigurationError:
    return ConfigurationError("the database has no tables yet", fix="start the server first")

"""The database: read and write transactions, and the one border where its errors become ours."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Self

from sqlalchemy import exc
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from antiphon.errors import AntiphonError, ConfigurationError, StorageFull, Unavailable
from antiphon.storage import sqlite

logger = logging.getLogger(__name__)


class Database:
    """Connections to one database. Close it, or use it as `async with Database(url) as database`.

    Inside `begin` and `connect`, a full disk raises `StorageFull` and any other failure of the database
    `Unavailable`; a broken constraint stays SQLAlchemy's `IntegrityError`, for the caller to judge.
    """

    def __init__(self, url: str) -> None:
        """`url` as SQLAlchemy writes it. Nothing is opened yet; `ConfigurationError` if it cannot be used."""
        self._reader = _engine(url)
        self._writer = self._reader.execution_options(**{sqlite.IMMEDIATE: True})

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that may write: committed durably at the end, or rolled back by an exception."""
        with _border():
            async with self._writer.begin() as connection:
                yield connection

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that only reads, all of it from one moment; no writer waits for it."""
        with _border():
            async with self._reader.connect() as connection:
                yield connection

    async def close(self) -> None:
        """Close every connection that is not in use."""
        await self._reader.dispose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _engine(url: str) -> AsyncEngine:
    try:
        parsed = make_url(url)
    except exc.ArgumentError:
        raise ConfigurationError(
            "the database address cannot be read", fix="leave the setting empty for SQLite in the data folder"
        ) from None
    if parsed.drivername != "sqlite+aiosqlite":
        raise ConfigurationError(
            f"a database of the kind '{parsed.drivername}' is not supported",
            fix="use sqlite+aiosqlite, or leave the setting empty for SQLite in the data folder",
        )
    return sqlite.create_engine(parsed)


@contextmanager
def _border() -> Iterator[None]:
    try:
        yield
    except (exc.DatabaseError, exc.TimeoutError) as problem:
        # Only the outermost kinds speak of the machine; their children (a broken constraint, wrong SQL)
        # speak of the statement.
        if type(problem) not in (exc.OperationalError, exc.DatabaseError, exc.TimeoutError):
            raise
        raise _meaning(problem) from problem


def _meaning(problem: exc.DatabaseError | exc.TimeoutError) -> AntiphonError:
    cause = getattr(problem, "orig", None) or problem
    logger.error("database: %s", cause)
    if getattr(cause, "sqlite_errorname", "") == "SQLITE_FULL":
        return StorageFull("There is no space left to store this.")
    return Unavailable("The database cannot be used at the moment.", retry_after=1)

"""The database: read and write transactions, and the one border where its errors become ours."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any, Protocol, Self, TypeVar

from sqlalchemy import Connection, exc
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from antiphon.errors import AntiphonError, ConfigurationError, StorageFull, Unavailable
from antiphon.storage import postgresql, sqlite
from antiphon.storage.transactions import Transactions

T = TypeVar("T")

logger = logging.getLogger(__name__)

STATEMENT_SECONDS = 5.0
TURN_SECONDS = 5.0
"""Longest wait for this process's other writers."""
ALONE_SECONDS = 600.0
_FIX = "write postgresql://user@host/name, or leave the setting empty for SQLite in the data folder"


class Kind(Protocol):
    """What differs between the databases; a module for each."""

    DRIVER: str
    READING: dict[str, Any]
    """Execution options of connections that only read."""
    WRITING: dict[str, Any]
    WRITERS: int
    """Transactions of a `Database` that may write at once."""
    WRITERS_TOGETHER: int
    """Those of a `Database` and all that are apart from it."""

    def create_engine(self, url: URL, seconds: float, *, for_tables: bool = False) -> AsyncEngine:
        """An engine whose statements wait or work for at most `seconds`. Nothing is opened yet.

        `for_tables`: for `alone`.
        """

    def transactions(self, url: URL, seconds: float, engine: AsyncEngine) -> Transactions:
        """What runs transactions that are one function, beside `engine`. Nothing is opened yet."""

    def alone(self, connection: AsyncConnection) -> AbstractAsyncContextManager[None]:
        """Keep out every other transaction that asks for this, and check what this one did to the tables."""

    async def forget(self, connection: AsyncConnection, tables: Sequence[str]) -> None:
        """Write the tables anew, so that nothing of what was deleted is left in the database's files.

        `connection` is in no transaction.
        """

    def meaning(self, problem: exc.DBAPIError | OSError) -> type[StorageFull | Unavailable] | None:
        """What happened to the database; None if the statement itself was wrong."""


_KINDS: Mapping[str, Kind] = {
    "sqlite+aiosqlite": sqlite,
    "postgresql+asyncpg": postgresql,
    "postgresql": postgresql,
    "postgres": postgresql,
}


class Database:
    """Connections to one database. Close it, or use it as `async with Database(url) as database`.

    Inside `begin`, `connect`, `alone` and `run`, where nothing but the database's work belongs, a full disk
    raises `StorageFull` and any other failure of the database `Unavailable`, soon after the seconds of a
    statement at the latest; a broken constraint stays SQLAlchemy's `IntegrityError`, for the caller to judge.
    """

    def __init__(
        self, url: str, statement_seconds: float = STATEMENT_SECONDS, *, pepper: bytes = b""
    ) -> None:
        """Nothing is opened yet; `ConfigurationError` if the address cannot be used.

        `statement_seconds`: the longest that one statement may wait for other transactions, or work.
        `pepper`: what the ends of the audit log are sealed with, for those who write it or upgrade.
        """
        self._url, self._kind = _parsed(url)
        self._seconds = statement_seconds
        self.pepper = pepper
        engine = self._kind.create_engine(self._url, statement_seconds)
        self._engine = engine.execution_options(pepper=pepper)
        self._reader = self._engine.execution_options(**self._kind.READING)
        self._writer = self._engine.execution_options(**self._kind.WRITING)
        self._transactions = self._kind.transactions(self._url, statement_seconds, self._engine)
        self._writers = asyncio.Semaphore(self._kind.WRITERS)
        self._together = asyncio.Semaphore(self._kind.WRITERS_TOGETHER)

    def apart(self) -> Database:
        """Connections of their own to the same database, to be closed like these.

        Whoever works over them never waits for one of these, and a writer for one other writer at most.
        """
        other = Database(self._url.render_as_string(hide_password=False), self._seconds, pepper=self.pepper)
        other._together = self._together
        return other

    @property
    def address(self) -> str:
        """Where it is, for people to read: without the password."""
        return self._url.render_as_string(hide_password=True)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that may write: committed durably at the end, or rolled back by an exception."""
        with self._border():
            async with self._turn(), self._writer.begin() as connection:
                yield connection

    async def run(self, work: Callable[[Connection], T]) -> T:
        """`begin` for what needs nothing but the database: `work(connection)`, in a thread or on the loop.

        Whoever is cancelled does not know whether it was committed.
        """
        with self._border():
            async with self._turn():
                return await self._transactions.run(work)

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that only reads, all of it from one moment; no writer waits for it."""
        with self._border():
            async with self._reader.connect() as connection:
                yield connection

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[AsyncConnection]:
        """`begin` for work on the tables themselves: one process at a time, with ten minutes a statement."""
        engine = self._kind.create_engine(self._url, ALONE_SECONDS, for_tables=True)
        writer = engine.execution_options(**self._kind.WRITING, pepper=self.pepper)
        try:
            with self._border():
                async with writer.begin() as connection, self._kind.alone(connection):
                    yield connection
        finally:
            await engine.dispose()

    async def forget(self, *tables: str) -> None:
        """See that nothing of what was deleted from these tables can be read from the database's files any
        more. For small tables: they are written anew, and whoever wants to use them waits."""
        with self._border():
            async with self._turn(), self._engine.connect() as connection:
                await self._kind.forget(connection, tables)

    async def close(self) -> None:
        """Close every connection that is not in use."""
        await self._transactions.close()
        await self._engine.dispose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Writers of this process stand in line, so that each of them has its turn."""
        async with AsyncExitStack() as held:
            try:
                async with asyncio.timeout(TURN_SECONDS):
                    # First in line here, and only then where those wait that are apart.
                    await held.enter_async_context(self._writers)
                    await held.enter_async_context(self._together)
            except TimeoutError:
                raise exc.TimeoutError("other writers took too long") from None
            yield

    @contextmanager
    def _border(self) -> Iterator[None]:
        try:
            yield
        except exc.TimeoutError as problem:  # no connection was free in time
            raise _error(Unavailable, problem) from problem
        except (exc.DBAPIError, OSError) as problem:
            kind = self._kind.meaning(problem)
            if kind is None:
                raise
            raise _error(kind, problem) from problem


def _parsed(url: str) -> tuple[URL, Kind]:
    try:
        parsed = make_url(url)
    except exc.ArgumentError:
        raise ConfigurationError("the database address cannot be read", fix=_FIX) from None
    kind = _KINDS.get(parsed.drivername)
    if kind is None:
        raise ConfigurationError(f"a database of the kind '{parsed.drivername}' is not supported", fix=_FIX)
    return parsed.set(drivername=kind.DRIVER), kind


def _error(kind: type[StorageFull | Unavailable], problem: Exception) -> AntiphonError:
    cause = getattr(problem, "orig", None) or problem
    # A time that ran out has no text of its own.
    logger.error("database: %s", str(cause) or type(cause).__name__)
    if kind is StorageFull:
        return StorageFull("There is no space left to store this.")
    return Unavailable("The database cannot be used at the moment.", retry_after=1)

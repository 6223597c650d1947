"""Write transactions, as the ledger asks for them: one function, one transaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection

from antiphon.storage.database import Database

T = TypeVar("T")


class Store(Protocol):
    """Where the books are kept."""

    async def run(self, work: Callable[..., T], *arguments: Any) -> T:
        """`work(connection, *arguments)` in a transaction: all of it or nothing.

        Raises `Unavailable` or `StorageFull`. Whoever is cancelled, or told `Unavailable`, does not know
        whether it was committed.
        """


class DatabaseStore:
    """A `Store` over the real database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self, work: Callable[..., T], *arguments: Any) -> T:
        def call(connection: Connection) -> T:
            return work(connection, *arguments)

        async with self._database.begin() as connection:
            return await connection.run_sync(call)

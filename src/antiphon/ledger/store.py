"""Write transactions, as the ledger asks for them: one function, one transaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

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
        return await self._database.run(lambda connection: work(connection, *arguments))

"""What an epoch and the database tell each other about money: one transaction at a time, none in doubt."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection, select

from antiphon.ledger import epochs, leases, posting
from antiphon.ledger.allowances import Allowances, Scope
from antiphon.ledger.journal import Journal
from antiphon.ledger.records import Reserve, Settle
from antiphon.ledger.requests import scopes_of
from antiphon.ledger.store import Store
from antiphon.storage.tables import allowance, organization

BATCH = 500
"""Records that are posted in one transaction, at most."""
STORE_SECONDS = 5.0
"""Longest wait for a transaction."""

T = TypeVar("T")


class View(msgspec.Struct, frozen=True):
    """How a scope stands in the database: nano-dollars that may be spent in all (None: without limit), and
    when a process last found too little left."""

    limit: int | None
    wanted_at: int


class Books:
    """Keeps the allowances equal to what the database has granted, and the journal to what is posted.

    Every method raises `Unavailable`, `StorageFull` or `TimeoutError`. What the database made of such a
    transaction is asked for before the next one.
    """

    def __init__(
        self,
        store: Store,
        epoch_id: str,
        journal: Journal,
        allowances: Allowances,
        clock: Callable[[], float],
    ) -> None:
        self._store, self._epoch, self._journal = store, epoch_id, journal
        self._allowances, self._clock = allowances, clock
        self._lock = asyncio.Lock()
        self._doubt = False
        self._scopes: dict[str, tuple[Scope, ...]] = {}
        """Of requests whose reservation is posted and whose end is not."""

    async def post(self) -> bool:
        """Move the oldest batch of the journal into the database; whether it was a full one."""
        async with self._turn():
            batch = self._journal.unposted(BATCH)
            if batch:
                await self._store.run(posting.post, self._epoch, batch, int(self._clock()))
                self._forget(batch[-1].seq)
        await self._journal.tidy()
        return len(batch) == BATCH

    async def lease(self, scope: Scope, need: int, block: int) -> bool:
        """Lease at least `need` more of `scope`, better `block`; False if that is not to be had."""
        async with self._turn():
            granted = await self._store.run(
                leases.lease, self._epoch, *scope, need, block, int(self._clock())
            )
            self._allowances.grant(scope, granted)
        return granted > 0

    async def give_back(self, scopes: Sequence[Scope]) -> None:
        """Return what is free of `scopes`."""
        async with self._turn():
            # Taken out first: until the database has heard of it the money is nobody's.
            free = {scope: amount for scope in scopes if (amount := self._allowances.withdraw(scope))}
            if free:
                await self._store.run(_give_back, self._epoch, free)

    async def others(self, scope: Scope) -> bool:
        """Whether other processes hold some of `scope`."""
        return await self._ask(_others, self._epoch, scope)

    async def look(self, scopes: Sequence[Scope]) -> dict[Scope, View]:
        """How `scopes` stand."""
        return await self._ask(_look, scopes)

    async def prepaid(self, organization_ids: Sequence[str]) -> dict[str, bool]:
        """Which organizations may only spend what they were credited."""
        return await self._ask(_prepaid, organization_ids)

    async def _ask(self, work: Callable[..., T], *arguments: Any) -> T:
        async with asyncio.timeout(STORE_SECONDS):
            return await self._store.run(work, *arguments)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Alone with the database. An exception leaves what it did in doubt, to be cleared up first."""
        async with self._lock, asyncio.timeout(STORE_SECONDS):
            if self._doubt:
                posted, granted = await self._store.run(_standing, self._epoch)
                self._forget(posted)
                self._allowances.correct(granted)
            self._doubt = True
            yield
            self._doubt = False

    def _forget(self, seq: int) -> None:
        for record in self._journal.forget(seq):
            if isinstance(record, Reserve):
                self._scopes[record.request_id] = scopes_of(record)
            else:
                scopes = self._scopes.pop(record.request_id)
                self._allowances.posted(scopes, record.cost if isinstance(record, Settle) else 0)


def _give_back(connection: Connection, epoch_id: str, free: Mapping[Scope, int]) -> None:
    for scope, amount in sorted(free.items()):
        leases.give_back(connection, epoch_id, *scope, amount)


def _others(connection: Connection, epoch_id: str, scope: Scope) -> bool:
    found = select(allowance.c.epoch).where(
        allowance.c.scope == scope[0],
        allowance.c.period == scope[1],
        allowance.c.epoch != epoch_id,
        allowance.c.amount > 0,
    )
    return connection.execute(found.limit(1)).first() is not None


def _look(connection: Connection, scopes: Sequence[Scope]) -> dict[Scope, View]:
    limits, wanted = leases.limits(connection, scopes), leases.wanted(connection, scopes)
    return {scope: View(limits.get(scope), wanted.get(scope, 0)) for scope in scopes}


def _prepaid(connection: Connection, organization_ids: Sequence[str]) -> dict[str, bool]:
    found = select(organization.c.id, organization.c.prepaid).where(organization.c.id.in_(organization_ids))
    return {row.id: row.prepaid for row in connection.execute(found)}


def _standing(connection: Connection, epoch_id: str) -> tuple[int, dict[Scope, int]]:
    # What is in doubt may still be committed by a server that was paused: it holds the lock until it is over.
    posted = epochs.lock(connection, epoch_id).posted
    found = select(allowance.c.scope, allowance.c.period, allowance.c.amount).where(
        allowance.c.epoch == epoch_id
    )
    return posted, {(row.scope, row.period): row.amount for row in connection.execute(found)}

"""Ledgers of several processes over one database in memory, in virtual time: always the same run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import date
from typing import Any, TypeVar

from benchmarks.simulation.loop import Clock, run
from sqlalchemy import StaticPool, Table, create_engine, insert, select

from antiphon.errors import Unavailable
from antiphon.ledger import credits, epochs
from antiphon.ledger.ledger import Ledger
from antiphon.ledger.meter import Account
from antiphon.ledger.verify import verify
from antiphon.storage import tables
from antiphon.values import Price, Snapshot, Usage
from simulated_disk import SimulatedDisk, inline

T = TypeVar("T")

DOLLAR = 10**9
PRICE = Price(
    since=date(2023, 3, 1), input=2_000_000, cached_input=2_000_000, output=2_000_000, second=100_000
)
CHAT = Snapshot(
    id="model-2023-03-01",
    task="chat",
    released=date(2023, 3, 1),
    owned_by="test",
    licence="MIT",
    prices=(PRICE,),
)


def tokens(prompt: int, completion: int = 0) -> Usage:
    """Each token costs 2,000 nano-dollars."""
    return Usage(prompt_tokens=prompt, completion_tokens=completion)


class House:
    """`away` makes every transaction fail, `hangs` makes it wait, `loses` makes it commit and then fail."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.engine = create_engine("sqlite://", poolclass=StaticPool)
        tables.metadata.create_all(self.engine)
        self.since = PRICE.since
        self.away = self.loses = False
        self.hangs: asyncio.Event | None = None
        self.transactions: list[str] = []

    async def run(self, work: Callable[..., T], *arguments: Any) -> T:
        """A transaction, as `antiphon.ledger.store.Store` runs them."""
        await asyncio.sleep(0.001)
        if self.hangs:
            await self.hangs.wait()
        if self.away:
            raise Unavailable("The database is away.")
        with self.engine.begin() as connection:
            result = work(connection, *arguments)
        self.transactions.append(work.__name__)
        await asyncio.sleep(0.001)
        if self.loses:
            raise Unavailable("The answer is lost.")
        return result

    def go(self, main: Coroutine[Any, Any, T]) -> T:
        """Run a test to its end."""
        return run(self.clock, main)

    def ledger(self, disk: SimulatedDisk | None = None, host: str = "here") -> Ledger:
        return Ledger(
            self,
            disk or SimulatedDisk(),
            inline,
            host=host,
            clock=self.clock.wall,
            monotonic=self.clock.monotonic,
        )

    def tenant(self, name: str = "a", *, prepaid: bool = False, **cents: int) -> Account:
        """An organization with a project; `organization` and `project` are limits a month."""
        ids = {"organization": f"org-{name}", "project": f"proj_{name}"}
        with self.engine.begin() as connection:
            connection.execute(
                insert(tables.organization).values(
                    id=ids["organization"], name=name, created_at=0, prepaid=prepaid
                )
            )
            connection.execute(
                insert(tables.project).values(
                    id=ids["project"], organization_id=ids["organization"], name=name, created_at=0
                )
            )
        for kind, amount in cents.items():
            self.limit(ids[kind], amount)
        return self.account(name)

    def account(self, name: str = "a") -> Account:
        return Account(
            organization_id=f"org-{name}", project_id=f"proj_{name}", key_id="key_1", member_id=None
        )

    def limit(self, scope: str, cents: int) -> None:
        with self.engine.begin() as connection:
            connection.execute(tables.spend_limit.delete().where(tables.spend_limit.c.scope == scope))
            connection.execute(insert(tables.spend_limit).values(scope=scope, cents=cents, updated_at=0))

    def prepay(self, organization_id: str, amount: int) -> None:
        with self.engine.begin() as connection:
            credits.add(connection, organization_id, amount, "", int(self.clock.wall()))

    def give_up(self) -> None:
        """Close every epoch, as a peer does that takes all others for dead."""
        with self.engine.begin() as connection:
            for epoch_id in epochs.others(connection):
                epochs.close(connection, epoch_id, None, int(self.clock.wall()))

    def rows(self, table: Table) -> list[Any]:
        with self.engine.begin() as connection:
            return list(connection.execute(select(table)))

    def findings(self) -> list[str]:
        """What is wrong with the books."""
        with self.engine.begin() as connection:
            return [str(finding) for finding in verify(connection)]

    def requests(self) -> dict[str, tuple[str, int]]:
        """Each request's status and cost."""
        return {row.id: (row.status, row.cost) for row in self.rows(tables.request)}


async def seconds(count: float) -> None:
    await asyncio.sleep(count)

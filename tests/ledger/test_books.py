"""The books: an answer that was lost is asked for before anything else is believed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import pytest

from antiphon.errors import Unavailable
from antiphon.ledger import epochs
from antiphon.ledger.allowances import Allowances, Scope
from antiphon.ledger.books import STORE_SECONDS, Books, View
from antiphon.ledger.journal import Journal
from antiphon.ledger.records import Reserve, Settle
from antiphon.ledger.requests import scopes_of
from antiphon.ledger.store import DatabaseStore
from antiphon.storage import tables
from antiphon.storage.database import Database
from antiphon.values import Price
from ledger_house import House
from ledger_rows import found, standing
from servers import PostgresDatabase
from simulated_disk import SimulatedDisk, inline
from until import until

T = TypeVar("T")
MONTH = "2026-09"
PROJECT: Scope = ("proj_a", MONTH)
ORGANIZATION: Scope = ("org-a", MONTH)
BOTH = (ORGANIZATION, PROJECT)


class Desk:
    """One epoch's books, with what they keep equal."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.allowances = Allowances()
        disk = SimulatedDisk()
        disk.create("epoch_a")
        self.journal = Journal(disk, inline, "epoch_a")
        self.books = Books(house, "epoch_a", self.journal, self.allowances, house.clock.wall)

    def granted(self) -> dict[Scope, int]:
        """By the database."""
        rows = self.house.rows(tables.allowance)
        return {(row.scope, row.period): row.amount for row in rows if row.amount}

    async def request(self, name: str, amount: int, cost: int) -> None:
        """One that was reserved and settled, as far as the journal."""
        assert self.allowances.take(BOTH, amount) is None
        await self.journal.add(reserve(self.house, name, amount))
        settle = Settle(
            request_id=name,
            input_tokens=0,
            cached_tokens=0,
            output_tokens=cost,
            seconds=0,
            input_cost=0,
            output_cost=cost,
            audio_cost=0,
            ended_at=2,
        )
        await self.journal.add(settle)
        self.allowances.charge(BOTH, amount, cost)


def reserve(house: House, name: str, amount: int, prepaid: bool = False) -> Reserve:
    return Reserve(
        request_id=name,
        organization_id="org-a",
        project_id="proj_a",
        key_id="key_1",
        member_id=None,
        task="chat",
        snapshot="model",
        price=Price(since=house.since, output=1000),
        period=MONTH,
        prepaid=prepaid,
        created_at=int(house.clock.START),
        amount=amount,
    )


@asynccontextmanager
async def desk(house: House) -> AsyncIterator[Desk]:
    house.tenant()
    with house.engine.begin() as connection:
        epochs.open_epoch(connection, "epoch_a", "here", 1)
    desk = Desk(house)
    writer = asyncio.create_task(desk.journal.write())
    try:
        yield desk
    finally:
        writer.cancel()


def test_who_pays_for_a_request(house: House) -> None:
    assert scopes_of(reserve(house, "req_1", 1)) == BOTH
    assert scopes_of(reserve(house, "req_1", 1, prepaid=True)) == (*BOTH, ("credit/org-a", ""))


def test_what_is_leased_charged_and_returned_is_the_same_on_both_sides(house: House) -> None:
    async def main() -> None:
        async with desk(house) as d:
            for scope in BOTH:
                assert await d.books.lease(scope, 10, 100)
            await d.request("req_1", 60, 25)
            await d.books.post()
            await d.books.post()
            assert d.journal.idle
            assert d.granted() == dict.fromkeys(BOTH, 75)
            assert [d.allowances.free(scope) for scope in BOTH] == [75, 75]
            await d.books.give_back([PROJECT])
            assert d.granted() == {ORGANIZATION: 75} and list(d.allowances) == [ORGANIZATION]

    house.go(main())
    assert house.requests() == {"req_1": ("settled", 25)}


@pytest.mark.parametrize("deed", ["lease", "post", "give_back"])
@pytest.mark.parametrize("fault", ["away", "loses"])
def test_an_answer_that_was_lost_is_asked_for(house: House, deed: str, fault: str) -> None:
    async def main() -> None:
        async with desk(house) as d:
            for scope in BOTH:
                await d.books.lease(scope, 100, 100)
            await d.request("req_1", 60, 25)
            setattr(house, fault, True)
            work = {
                "lease": d.books.lease(PROJECT, 100, 100),
                "post": d.books.post(),
                "give_back": d.books.give_back([PROJECT]),
            }
            with pytest.raises(Unavailable):
                await work.pop(deed)
            for unused in work.values():
                unused.close()
            setattr(house, fault, False)
            for _ in range(2):
                await d.books.post()
                assert d.journal.idle
                for scope in BOTH:
                    assert d.allowances.free(scope) == d.granted().get(scope, 0)

    house.go(main())
    assert house.requests() == {"req_1": ("settled", 25)}


def test_a_transaction_has_its_time(house: House) -> None:
    async def main() -> None:
        async with desk(house) as d:
            house.hangs = asyncio.Event()
            began = house.clock.now
            with pytest.raises(TimeoutError):
                await d.books.lease(PROJECT, 1, 1)
            with pytest.raises(TimeoutError):
                await d.books.look([PROJECT])
            assert house.clock.now - began <= 2 * STORE_SECONDS + 0.1

    house.go(main())


def test_how_scopes_stand(house: House) -> None:
    async def main() -> None:
        async with desk(house) as d:
            house.limit("proj_a", 3)
            assert await d.books.look([ORGANIZATION, PROJECT]) == {
                ORGANIZATION: View(None, 0),
                PROJECT: View(3 * 10**7, 0),
            }
            assert await d.books.lease(PROJECT, 1, 10**6)
            assert not await d.books.others(PROJECT)
            assert not await d.books.lease(PROJECT, 10**9, 10**9)
            assert (await d.books.look([PROJECT]))[PROJECT].wanted_at > 0
            assert await d.books.prepaid(["org-a", "org-x"]) == {"org-a": False}

    house.go(main())


def test_others_may_hold_some(house: House) -> None:
    async def main() -> None:
        async with desk(house) as d:
            with house.engine.begin() as connection:
                epochs.open_epoch(connection, "epoch_b", "there", 1)
            other = Books(house, "epoch_b", d.journal, Allowances(), house.clock.wall)
            await other.lease(PROJECT, 1, 1)
            assert await d.books.others(PROJECT)
            assert not await d.books.others(ORGANIZATION)

    house.go(main())


class HalfCommitted(DatabaseStore):
    """While `late`, callers are told that the database is gone, and it commits once `go` is set."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.late = False
        self.go = asyncio.Event()
        self.commits: list[asyncio.Task[None]] = []

    async def run(self, work: Callable[..., T], *arguments: Any) -> T:
        if not self.late:
            return await super().run(work, *arguments)
        worked = asyncio.Event()

        async def commit() -> None:
            async with self._database.begin() as connection:
                await connection.run_sync(work, *arguments)
                worked.set()
                await self.go.wait()

        self.commits.append(asyncio.create_task(commit()))
        await worked.wait()
        raise Unavailable("The database went away.")


async def test_a_commit_that_is_still_under_way_is_waited_for(postgresql: PostgresDatabase) -> None:
    scope = ("proj_1", "2026-11")
    allowances, disk = Allowances(), SimulatedDisk()
    async with Database(postgresql.url) as database:
        store = HalfCommitted(database)
        await store.run(found)
        books = Books(store, "epoch_1", Journal(disk, inline, "epoch_1"), allowances, lambda: 1.0)
        assert await books.lease(scope, 100, 100)
        store.late = True
        with pytest.raises(Unavailable):
            await books.give_back([scope])
        store.late = False
        asked = asyncio.create_task(books.post())
        waits = "select 1 from pg_locks where not granted"
        await until(lambda: asked.done() or postgresql.execute(waits).strip())
        store.go.set()
        await asyncio.gather(asked, *store.commits)
        assert await store.run(standing) == {"proj_1": (0, 0)}
        assert allowances.free(scope) == 0, "it is the database's again, for others to lease"

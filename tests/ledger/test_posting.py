"""Records that are moved into the database: once each, however often they are sent, on both databases."""

from __future__ import annotations

import asyncio
from datetime import date
from functools import partial
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import create_engine, event

from antiphon.errors import ConfigurationError
from antiphon.ledger import credits, epochs, leases
from antiphon.ledger.posting import post, price_id
from antiphon.ledger.records import Record
from antiphon.ledger.store import DatabaseStore
from antiphon.ledger.verify import verify
from antiphon.storage import tables
from antiphon.storage.database import Database
from antiphon.values import Price
from ledger_rows import (
    NOVEMBER,
    PRICE,
    balances,
    everything,
    found,
    fund,
    reserve,
    rows,
    settle,
    standing,
    void,
)

NOW = NOVEMBER + 60


@pytest.fixture
async def store(database: Database) -> DatabaseStore:
    store = DatabaseStore(database)
    await store.run(found)
    await store.run(fund)
    return store


async def posted(store: DatabaseStore, *records: Record, epoch: str = "epoch_1") -> None:
    await store.run(post, epoch, records, NOW)
    assert await store.run(verify) == []


async def request(store: DatabaseStore, name: str = "req_1") -> dict[str, Any]:
    [row] = [row for row in await store.run(rows, tables.request) if row["id"] == name]
    return row


async def kinds(store: DatabaseStore, name: str = "req_1") -> set[str]:
    return {row["kind"] for row in await store.run(rows, tables.entry) if row["request_id"] == name}


async def test_a_reservation_is_held(store: DatabaseStore) -> None:
    await posted(store, reserve(1))
    row = await request(store)
    assert (row["status"], row["reserved"], row["cost"], row["ended_at"]) == ("open", 1000, 0, None)
    assert await store.run(balances) == {"held/proj_1": 1000, "holds": -1000}
    assert await store.run(standing) == {"org-1": (0, 100_000), "proj_1": (0, 100_000)}
    assert await store.run(rows, tables.usage_rollup) == []


async def test_a_settlement_is_charged(store: DatabaseStore) -> None:
    await posted(store, reserve(1))
    await posted(store, settle(2))
    row = await request(store)
    assert (row["status"], row["cost"], row["ended_at"]) == ("settled", 200, NOVEMBER + 5)
    assert (row["input_tokens"], row["output_tokens"]) == (100, 50)
    assert await store.run(balances) == {"charged/proj_1": 200, "revenue/model-1": -200}
    assert await store.run(standing) == {"org-1": (200, 99_800), "proj_1": (200, 99_800)}
    assert [row["amount"] for row in await store.run(rows, tables.allowance)] == [99_800, 99_800]
    assert await kinds(store) == {"reserve", "release", "charge"}
    [price] = await store.run(rows, tables.price)
    assert (price["id"], price["since"], price["output"]) == (price_id("model-1", PRICE), "2026-01-01", 2000)


async def test_a_void_costs_nothing(store: DatabaseStore) -> None:
    await posted(store, reserve(1), void(2))
    row = await request(store)
    assert (row["status"], row["reason"], row["cost"]) == ("voided", "EngineFailed", 0)
    assert await store.run(balances) == {} and await kinds(store) == {"reserve", "release"}
    assert await store.run(standing) == {"org-1": (0, 100_000), "proj_1": (0, 100_000)}


async def test_how_records_are_cut_into_batches_makes_no_difference(store: DatabaseStore) -> None:
    def journal(name: str) -> list[Record]:
        one, two, three = (f"{name}{number}" for number in (1, 2, 3))
        return [reserve(1, one), reserve(2, two), settle(3, one), reserve(4, three), void(5, two)]

    await store.run(epochs.open_epoch, "epoch_2", "here", NOVEMBER)
    await store.run(partial(fund, epoch_id="epoch_2"))
    for record in journal("a"):
        await posted(store, record)
    alone = await store.run(everything)
    await posted(store, *journal("b"), epoch="epoch_2")
    together = await store.run(everything)
    for number, status, cost in ((1, "settled", 200), (2, "voided", 0), (3, "open", 0)):
        for name in (f"a{number}", f"b{number}"):
            row = await request(store, name)
            assert (row["status"], row["cost"]) == (status, cost)
        assert await kinds(store, f"a{number}") == await kinds(store, f"b{number}")
    for one, two in zip(alone["usage_rollup"], together["usage_rollup"], strict=True):
        assert (2 * one["requests"], 2 * one["input_cost"]) == (two["requests"], two["input_cost"])


async def test_what_was_posted_is_not_posted_again(store: DatabaseStore) -> None:
    records = [reserve(1), settle(2), reserve(3, "req_2")]
    await posted(store, *records)
    before = await store.run(everything)
    for sent in (records, records[:2], records[1:]):
        await posted(store, *sent)
        assert await store.run(everything) == before
    await posted(store, *records, void(4, "req_2"))
    assert (await request(store, "req_2"))["status"] == "voided"
    [epoch] = await store.run(rows, tables.epoch)
    assert epoch["posted"] == 4


async def test_a_request_ends_once(store: DatabaseStore) -> None:
    await posted(store, reserve(1), settle(2), void(3))
    await posted(store, settle(4, input=1), void(5))
    row = await request(store)
    assert (row["status"], row["cost"]) == ("settled", 200)


async def test_nothing_of_a_closed_epoch_is_charged(store: DatabaseStore) -> None:
    await posted(store, reserve(1), reserve(2, "req_2"))
    assert await store.run(epochs.close, "epoch_1", None, NOVEMBER + 20) == 2
    await posted(store, settle(3), void(4, "req_2"), reserve(5, "req_3"), reserve(6, "req_4"))
    await posted(store, settle(7, "req_4", input=10, output=0), settle(8), void(9, "req_3"))
    await posted(
        store, reserve(10, "req_5"), settle(11, "req_5", 1, 0), reserve(12, "req_6"), void(13, "req_6")
    )
    ends = {
        row["id"]: (row["status"], row["reason"], row["cost"], row["ended_at"])
        for row in await store.run(rows, tables.request)
    }
    assert ends == {
        "req_1": ("lost", "epoch closed", 200, NOVEMBER + 5),
        "req_2": ("voided", "epoch closed", 0, NOVEMBER + 20),
        "req_3": ("voided", "epoch closed", 0, NOW),
        "req_4": ("lost", "epoch closed", 10, NOVEMBER + 5),
        "req_5": ("lost", "epoch closed", 1, NOVEMBER + 5),
        "req_6": ("voided", "EngineFailed", 0, NOVEMBER + 5),
    }
    assert await store.run(standing) == {"org-1": (0, 0), "proj_1": (0, 0)}
    assert await store.run(balances) == {"loss": 211, "revenue/model-1": -211}
    assert await store.run(rows, tables.usage_rollup) == []
    assert await kinds(store) == {"reserve", "release", "loss"}


async def test_prepaid_requests_draw_upon_the_credit_too(store: DatabaseStore) -> None:
    await store.run(credits.add, "org-1", 5000, "", NOVEMBER)
    await store.run(leases.lease, "epoch_1", "credit/org-1", "", 5000, 5000, NOVEMBER)
    await posted(store, reserve(1, prepaid=True), reserve(2, "req_2"), settle(3))
    await posted(store, settle(4, "req_2"))
    assert (await store.run(standing))["credit/org-1"] == (200, 4800)
    assert await store.run(credits.balance, "org-1") == credits.Balance(5000, 200, 4800)


async def test_what_is_free_needs_no_allowance(store: DatabaseStore) -> None:
    free = Price(since=date.min)
    about = {"organization_id": "org-2", "project_id": "proj_2", "price": free, "snapshot": "free-1"}
    await posted(store, reserve(1, amount=0, **about), replace(settle(2), input_cost=0, output_cost=0))
    assert "org-2" not in await store.run(standing)
    assert [row["requests"] for row in await store.run(rows, tables.usage_rollup)] == [1, 1, 1]


async def test_a_journal_of_another_database_is_refused(store: DatabaseStore) -> None:
    with pytest.raises(ConfigurationError, match="epoch_9 belongs to another database"):
        await store.run(post, "epoch_9", [reserve(1)], NOW)


async def test_processes_that_post_at_once_wait_for_each_other(store: DatabaseStore) -> None:
    async def process(number: int) -> None:
        epoch = f"epoch_x{number}"
        await store.run(epochs.open_epoch, epoch, "here", NOVEMBER)
        await store.run(partial(fund, epoch_id=epoch))
        for batch in range(3):
            names = [f"req_{number}_{batch}_{n}" for n in range(20)]
            if number % 2:
                names.reverse()
            records: list[Record] = []
            for name in names:
                key = f"key_{name[-1]}"
                records.append(reserve(batch * 40 + len(records) + 1, name, key_id=key))
            records += [settle(batch * 40 + 20 + n + 1, name) for n, name in enumerate(names)]
            await store.run(post, epoch, records, NOW)

    await asyncio.gather(*(process(number) for number in range(4)))
    assert await store.run(verify) == []
    assert (await store.run(standing))["proj_1"][0] == 4 * 60 * 200


def test_five_hundred_records_are_a_few_statements() -> None:
    engine = create_engine("sqlite://")
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
    with engine.begin() as connection:
        tables.metadata.create_all(connection)
        found(connection)
        fund(connection, 10**9)
        post(connection, "epoch_1", [reserve(n, f"req_{n}") for n in range(1, 251)], NOW)
        statements.clear()
        records: list[Record] = [settle(n, f"req_{n - 250}") for n in range(251, 501)]
        post(connection, "epoch_1", records + [reserve(n, f"req_{n}") for n in range(501, 751)], NOW)
        assert len(statements) <= 12
        assert verify(connection) == []
    engine.dispose()


@pytest.mark.parametrize("change", [{"input": 1}, {"second": 1}, {"since": date(2026, 1, 2)}], ids=str)
def test_a_price_has_an_id_of_its_own(change: dict[str, Any]) -> None:
    assert price_id("a", PRICE) == price_id("a", replace(PRICE))
    assert len({price_id("a", PRICE), price_id("b", PRICE), price_id("a", replace(PRICE, **change))}) == 3

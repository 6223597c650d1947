"""Leases: what is charged and leased stays within the limit, whoever asks at once."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import Connection, insert

from antiphon.errors import Unavailable
from antiphon.ledger import credits, epochs, leases
from antiphon.ledger.store import DatabaseStore
from antiphon.ledger.verify import verify
from antiphon.storage import tables
from antiphon.storage.database import Database
from ledger_rows import NOVEMBER, found, rows, standing

CENT = 10_000_000
MONTH = "2026-11"


@pytest.fixture
async def store(database: Database) -> DatabaseStore:
    store = DatabaseStore(database)
    await store.run(found)
    await store.run(epochs.open_epoch, "epoch_2", "there", NOVEMBER)
    await store.run(limit, "proj_1", 1)
    return store


def limit(connection: Connection, scope: str, cents: int) -> None:
    connection.execute(insert(tables.spend_limit).values(scope=scope, cents=cents, updated_at=NOVEMBER))


async def lease(store: DatabaseStore, need: int, block: int, scope: str = "proj_1", epoch: int = 1) -> int:
    period = "" if scope.startswith("credit/") else MONTH
    return await store.run(leases.lease, f"epoch_{epoch}", scope, period, need, block, NOVEMBER)


async def allowances(store: DatabaseStore) -> dict[tuple[str, str], int]:
    return {(row["epoch"], row["scope"]): row["amount"] for row in await store.run(rows, tables.allowance)}


async def test_a_scope_without_a_limit_gives_what_is_asked(store: DatabaseStore) -> None:
    assert await lease(store, 5, 100, "org-1") == 100
    assert await lease(store, 500, 100, "org-1") == 500
    assert await allowances(store) == {("epoch_1", "org-1"): 600}
    assert await store.run(standing) == {"org-1": (0, 600)}


async def test_a_limit_gives_what_is_left_but_never_less_than_needed(store: DatabaseStore) -> None:
    assert await lease(store, 10, CENT - 100) == CENT - 100
    assert await lease(store, 10, CENT, epoch=2) == 100
    assert await lease(store, 1, CENT, epoch=2) == 0
    assert await store.run(standing) == {"proj_1": (0, CENT)}
    assert await store.run(verify) == []


async def test_each_refusal_is_seen(store: DatabaseStore) -> None:
    scope = ("proj_1", MONTH)
    assert await store.run(leases.wanted, [scope]) == {}
    await lease(store, CENT, CENT)
    assert await store.run(leases.wanted, [scope, ("proj_1", "2026-12"), ("org-1", MONTH)]) == {scope: 0}
    seen = set()
    for _ in range(3):
        assert await lease(store, 1, 1, epoch=2) == 0
        seen.add((await store.run(leases.wanted, [scope]))[scope])
    assert len(seen) == 3 and min(seen) == NOVEMBER


async def test_what_is_given_back_may_be_had_by_others(store: DatabaseStore) -> None:
    await lease(store, CENT, CENT)
    await store.run(leases.give_back, "epoch_1", "proj_1", MONTH, 300)
    assert await lease(store, 300, CENT, epoch=2) == 300
    await store.run(leases.give_back, "epoch_1", "proj_1", MONTH, CENT - 300)
    assert await allowances(store) == {("epoch_2", "proj_1"): 300}
    assert await store.run(standing) == {"proj_1": (0, 300)}


async def test_a_closed_epoch_leases_nothing_and_returns_nothing_twice(store: DatabaseStore) -> None:
    await lease(store, 10, 10)
    await store.run(epochs.close, "epoch_1", None, NOVEMBER)
    await store.run(leases.give_back, "epoch_1", "proj_1", MONTH, 10)
    assert await store.run(standing) == {"proj_1": (0, 0)}
    with pytest.raises(Unavailable):
        await lease(store, 10, 10)


async def test_prepaid_money_is_limited_by_the_credits(store: DatabaseStore) -> None:
    assert await lease(store, 1, 10, "credit/org-1") == 0
    await store.run(credits.add, "org-1", 15, "", NOVEMBER)
    assert await lease(store, 1, 10, "credit/org-1") == 10
    assert await lease(store, 1, 10, "credit/org-1") == 5
    await store.run(credits.add, "org-1", 2, "", NOVEMBER)
    assert await lease(store, 1, 10, "credit/org-1", epoch=2) == 2


async def test_limits_are_those_of_the_scopes_asked_for(store: DatabaseStore) -> None:
    await store.run(credits.add, "org-2", 7, "", NOVEMBER)
    scopes = [
        ("proj_1", MONTH),
        ("proj_1", "2026-12"),
        ("org-1", MONTH),
        ("credit/org-1", ""),
        ("credit/org-2", ""),
    ]
    assert await store.run(leases.limits, scopes) == {
        ("proj_1", MONTH): CENT,
        ("proj_1", "2026-12"): CENT,
        ("credit/org-1", ""): 0,
        ("credit/org-2", ""): 7,
    }
    assert await store.run(leases.limits, []) == {}
    many = [(f"proj_{number}", MONTH) for number in range(2500)]
    assert await store.run(leases.limits, many) == {("proj_1", MONTH): CENT}


async def test_what_was_spent_is_that_of_each_scope_and_period(store: DatabaseStore) -> None:
    def charge(connection: Connection, scope: str, period: str, amount: int) -> None:
        row = {"scope": scope, "period": period, "charged": amount, "leased": 5, "wanted_at": 0}
        connection.execute(insert(tables.spending).values(row))

    await store.run(charge, "proj_1", MONTH, 7)
    await store.run(charge, "proj_1", "2026-10", 9)
    scopes = [("proj_1", MONTH), ("org-1", MONTH)]
    assert await store.run(leases.spent, scopes) == {("proj_1", MONTH): 7, ("org-1", MONTH): 0}
    assert await store.run(leases.spent, []) == {}


async def test_many_at_once_never_pass_a_limit(store: DatabaseStore) -> None:
    tenth = CENT // 10
    asked = [lease(store, tenth, 2 * tenth, epoch=1 + number % 2) for number in range(12)]
    granted = await asyncio.gather(*asked)
    assert sum(granted) == CENT and granted.count(0) == 12 - 5
    assert sum((await allowances(store)).values()) == CENT

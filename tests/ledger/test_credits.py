"""What organizations pay in advance."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from antiphon.errors import InvalidRequest
from antiphon.ledger import credits, leases
from antiphon.ledger.store import DatabaseStore
from antiphon.ledger.verify import verify
from antiphon.storage import tables
from antiphon.storage.database import Database
from ledger_rows import NOVEMBER, balances, found, rows


@pytest.fixture
async def store(database: Database) -> DatabaseStore:
    store = DatabaseStore(database)
    await store.run(found)
    return store


async def test_a_credit_is_a_row_and_an_entry(store: DatabaseStore) -> None:
    made, new = await store.run(credits.add, "org-1", 500, "invoice 7", NOVEMBER)
    assert new
    assert (made.amount, made.note, made.created_at) == (500, "invoice 7", NOVEMBER)
    assert await store.run(balances) == {"cash": 500, "credit/org-1": -500}
    [entry] = await store.run(rows, tables.entry)
    assert (entry["request_id"], entry["kind"]) == (made.id, "credit")
    assert await store.run(credits.balance, "org-1") == credits.Balance(500, 0, 0)
    assert await store.run(credits.balance, "org-2") == credits.Balance(0, 0, 0)


async def test_what_is_taken_back_lowers_the_balance(store: DatabaseStore) -> None:
    await store.run(credits.add, "org-1", 500, "", NOVEMBER)
    await store.run(credits.add, "org-1", -200, "", NOVEMBER)
    await store.run(leases.lease, "epoch_1", "credit/org-1", "", 100, 100, NOVEMBER)
    assert await store.run(balances) == {"cash": 300, "credit/org-1": -300}
    balance = await store.run(credits.balance, "org-1")
    assert balance == credits.Balance(300, 0, 100) and balance.left == 200
    assert await store.run(verify) == []


async def test_one_that_has_a_name_is_given_once(store: DatabaseStore) -> None:
    async def give(organization_id: str, name: str | None, now: int) -> tuple[credits.Credit, bool]:
        return await store.run(partial(credits.add, name=name), organization_id, 500, "June", now)

    given = await asyncio.gather(*(give("org-1", "a", NOVEMBER + later) for later in range(5)))
    assert sorted(new for _, new in given) == [False] * 4 + [True]
    assert len({made.id for made, _ in given}) == len({made.created_at for made, _ in given}) == 1
    assert (await give("org-1", "b", NOVEMBER))[1] and (await give("org-2", "a", NOVEMBER))[1]
    assert (await give("org-1", None, NOVEMBER))[1] and (await give("org-1", None, NOVEMBER))[1]
    assert await store.run(balances) == {"cash": 2500, "credit/org-1": -2000, "credit/org-2": -500}
    assert await store.run(verify) == []


@pytest.mark.parametrize(("amount", "note"), [(501, "June"), (500, "July")])
async def test_a_name_is_not_given_to_another_credit(store: DatabaseStore, amount: int, note: str) -> None:
    await store.run(partial(credits.add, name="a"), "org-1", 500, "June", NOVEMBER)
    with pytest.raises(InvalidRequest) as refused:
        await store.run(partial(credits.add, name="a"), "org-1", amount, note, NOVEMBER)
    assert refused.value.code == "idempotency_key_in_use"
    assert (await store.run(credits.balance, "org-1")).credited == 500


@pytest.mark.parametrize("amount", [0, credits.LARGEST + 1, -credits.LARGEST - 1])
async def test_an_amount_that_is_none_is_refused(store: DatabaseStore, amount: int) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await store.run(credits.add, "org-1", amount, "", NOVEMBER)
    assert refused.value.param == "amount"
    assert await store.run(rows, tables.credit) == []


async def test_credits_are_listed_page_by_page(store: DatabaseStore) -> None:
    made = [(await store.run(credits.add, "org-1", n, "", NOVEMBER + n % 2))[0] for n in (1, 2, 3, 4)]
    await store.run(credits.add, "org-2", 9, "", NOVEMBER)

    async def page(after: str | None, limit: int) -> object:
        return await store.run(lambda c: credits.listed(c, "org-1", after=after, limit=limit))

    whole, more = await store.run(credits.listed, "org-1")
    assert {c.id for c in whole} == {c.id for c in made} and not more
    assert [c.created_at for c in whole] == [NOVEMBER, NOVEMBER, NOVEMBER + 1, NOVEMBER + 1]
    assert await page(None, 3) == (whole[:3], True)
    assert await page(whole[2].id, 3) == (whole[3:], False)
    with pytest.raises(InvalidRequest):
        await page("credit_unknown", 3)
    for limit in (0, 101):
        with pytest.raises(InvalidRequest):
            await page(None, limit)

"""Lives of processes in the database: they beat, and are closed once, with all they had."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import event, text, update
from sqlalchemy.schema import CreateTable

from antiphon.errors import ConfigurationError, Unavailable
from antiphon.ledger import claims, epochs, leases
from antiphon.ledger.posting import post
from antiphon.ledger.store import DatabaseStore
from antiphon.ledger.verify import verify
from antiphon.storage import tables
from antiphon.storage.database import Database
from ledger_house import House
from ledger_rows import NOVEMBER, balances, found, fund, reserve, rows, settle, standing


@pytest.fixture
async def store(database: Database) -> DatabaseStore:
    store = DatabaseStore(database)
    await store.run(found)
    return store


async def test_an_epoch_beats_until_it_is_closed(store: DatabaseStore) -> None:
    await store.run(epochs.open_epoch, "epoch_2", "there", NOVEMBER)
    assert await store.run(epochs.others) == {"epoch_1": 0, "epoch_2": 0}
    assert await store.run(epochs.beat, "epoch_1")
    assert await store.run(epochs.others) == {"epoch_1": 1, "epoch_2": 0}
    assert await store.run(epochs.close, "epoch_1", None, NOVEMBER + 1) == 0
    assert not await store.run(epochs.beat, "epoch_1")
    assert await store.run(epochs.others) == {"epoch_2": 0}
    [row, _] = await store.run(rows, tables.epoch)
    assert (row["host"], row["opened_at"], row["closed_at"]) == ("here", NOVEMBER, NOVEMBER + 1)


async def test_one_that_has_beaten_meanwhile_is_not_closed(store: DatabaseStore) -> None:
    await store.run(epochs.beat, "epoch_1")
    await store.run(epochs.close, "epoch_1", 0, NOVEMBER)
    assert await store.run(epochs.beat, "epoch_1")
    await store.run(epochs.close, "epoch_1", 2, NOVEMBER)
    assert not await store.run(epochs.beat, "epoch_1")


async def test_closing_voids_what_is_open_and_returns_the_allowances(store: DatabaseStore) -> None:
    await store.run(fund)
    await store.run(epochs.open_epoch, "epoch_2", "there", NOVEMBER)
    await store.run(fund, 500, "epoch_2")
    batch = [reserve(1), reserve(2, "req_2"), reserve(3, "req_3", project_id="proj_2"), settle(4, "req_2")]
    await store.run(post, "epoch_1", batch, NOVEMBER)
    assert await store.run(epochs.close, "epoch_1", None, NOVEMBER + 9) == 2
    found = {
        r["id"]: (r["status"], r["reason"], r["ended_at"]) for r in await store.run(rows, tables.request)
    }
    assert found == {
        "req_1": ("voided", "epoch closed", NOVEMBER + 9),
        "req_2": ("settled", None, NOVEMBER + 5),
        "req_3": ("voided", "epoch closed", NOVEMBER + 9),
    }
    assert await store.run(standing) == {"org-1": (200, 500), "proj_1": (200, 500)}
    assert {row["epoch"] for row in await store.run(rows, tables.allowance)} == {"epoch_2"}
    assert await store.run(balances) == {"charged/proj_1": 200, "revenue/model-1": -200}
    assert await store.run(verify) == []
    assert await store.run(epochs.close, "epoch_1", None, NOVEMBER + 99) == 0
    assert await store.run(verify) == []


async def test_closing_frees_the_idempotency_keys_of_what_was_not_charged(store: DatabaseStore) -> None:
    await store.run(fund)
    for number, name in enumerate(("req_1", "req_2", "req_3")):
        await store.run(claims.claim, bytes([number]), b"f", name, "epoch_1", NOVEMBER)
    await store.run(claims.end, b"\2", "req_3")
    await store.run(post, "epoch_1", [reserve(1), reserve(2, "req_2"), settle(3, "req_2")], NOVEMBER)
    await store.run(epochs.close, "epoch_1", None, NOVEMBER)
    kept = {row["request_id"]: row["ended"] for row in await store.run(rows, tables.idempotency)}
    assert kept == {"req_2": True, "req_3": True}
    with pytest.raises(Unavailable):
        await store.run(claims.claim, b"\0", b"f", "req_4", "epoch_1", NOVEMBER)


async def test_an_epoch_of_another_database_is_refused(store: DatabaseStore) -> None:
    with pytest.raises(ConfigurationError, match="epoch_9"):
        await store.run(epochs.close, "epoch_9", None, NOVEMBER)


async def test_a_closed_epoch_stays_as_it_is_seen(store: DatabaseStore) -> None:
    change = update(tables.epoch).values(beat=7, posted=3)
    await store.run(lambda connection: connection.execute(change).rowcount)
    assert await store.run(epochs.lock, "epoch_1") == epochs.Epoch(7, 3, False)
    await store.run(epochs.close, "epoch_1", 7, NOVEMBER)
    assert (await store.run(epochs.lock, "epoch_1")).closed


def test_allowances_are_returned_in_the_order_in_which_everyone_locks(house: House) -> None:
    returned: list[str] = []

    def seen(*execution: Any) -> None:
        if execution[2].startswith("UPDATE spending"):
            returned.extend(name for name in execution[3] if str(name).startswith("org-"))

    with house.engine.begin() as connection:
        # A database that sorts text in another way than Python.
        created = str(CreateTable(tables.allowance).compile(connection))
        tables.allowance.drop(connection)
        connection.execute(text(created.replace("scope TEXT", "scope TEXT COLLATE NOCASE")))
        epochs.open_epoch(connection, "epoch_1", "here", NOVEMBER)
        for scope in ("org-a", "org-B"):
            leases.lease(connection, "epoch_1", scope, "2026-11", 1, 1, NOVEMBER)
        event.listen(house.engine, "before_cursor_execute", seen)
        epochs.close(connection, "epoch_1", None, NOVEMBER)
    assert returned == ["org-B", "org-a"]

"""The proof of the books notices every nano-dollar, and nothing where all is right."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection, create_engine, insert, text

from antiphon.ledger import credits, epochs, leases
from antiphon.ledger import verify as module
from antiphon.ledger.posting import post
from antiphon.ledger.store import DatabaseStore
from antiphon.ledger.tally import Finding
from antiphon.ledger.verify import MOST, verify
from antiphon.storage import tables
from antiphon.storage.database import Database
from ledger_rows import NOVEMBER, found, fund, reserve, settle, void

DAY = 86_400


def fill(connection: Connection) -> None:
    """Books in which everything happens."""
    found(connection)
    connection.execute(insert(tables.spend_limit).values(scope="proj_1", cents=1, updated_at=0))
    fund(connection)
    credits.add(connection, "org-1", 5000, "", NOVEMBER)
    leases.lease(connection, "epoch_1", "credit/org-1", "", 3000, 3000, NOVEMBER)
    batch = [
        reserve(1), settle(2),
        reserve(3, "req_2"), void(4, "req_2"),
        reserve(5, "req_3"), replace(settle(6, "req_3", 10**6, 0), input_cost=1000),
        reserve(7, "req_4", created_at=NOVEMBER + 3 * DAY, prepaid=True), settle(8, "req_4", 0, 0, 20),
        reserve(9, "req_5", project_id="proj_2"),
    ]  # fmt: skip
    post(connection, "epoch_1", batch, NOVEMBER)
    epochs.open_epoch(connection, "epoch_2", "there", NOVEMBER)
    post(connection, "epoch_2", [reserve(1, "req_6")], NOVEMBER)
    epochs.close(connection, "epoch_2", None, NOVEMBER)
    post(connection, "epoch_2", [settle(2, "req_6")], NOVEMBER)


@pytest.fixture
def books() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    tables.metadata.create_all(engine)
    with engine.begin() as connection:
        fill(connection)
        yield connection
    engine.dispose()


async def test_right_books_have_no_findings(database: Database) -> None:
    store = DatabaseStore(database)
    assert await store.run(verify) == []
    await store.run(fill)
    async with database.connect() as connection:
        assert await connection.run_sync(verify) == []


FAULTS = {
    "update request set cost = cost + 1 where id = 'req_1'": "req_1: the cost is not its usage at its price",
    "update request set output_tokens = 51 where id = 'req_1'": "req_1: the cost is not its usage",
    "update request set output_tokens = 51 where id = 'req_6'": "req_6: the cost is not its usage",
    "update request set reserved = reserved - 1 where id = 'req_3'": "the amount of its release is wrong",
    "update request set reserved = 0, cost = 0 where id = 'req_1'": "the amount of its charge is wrong: 200",
    "update request set status = 'free' where id = 'req_1'": "req_1: the state is not known",
    "update request set status = 'open' where id = 'req_6'": "it is open, and its epoch is closed",
    "update request set status = 'open' where id = 'req_2'": "has a release that does not belong",
    "update request set ended_at = null where id = 'req_2'": "req_2: its state and the time of its end",
    "update request set seconds = 1 where id = 'req_2'": "req_2: it has usage, and was not settled",
    "update request set period = '2026-12' where id = 'req_1'": "req_1: it is billed in another month",
    "delete from request where id = 'req_2'": "req_2: the entry belongs to no request, credit or time",
    "delete from entry where request_id = 'req_2' and kind = 'release'": "req_2: it lacks its release",
    "delete from entry where request_id = 'req_6' and kind = 'loss'": "req_6: it lacks its loss",
    "update entry set amount = 199 where kind = 'charge' and amount = 200": "charge is wrong: 199",
    "update entry set debit = 'cash' where kind = 'loss'": "req_6: the accounts of its loss are wrong",
    "update entry set amount = 4999 where kind = 'credit'": "its credit is wrong: 4999 instead of 5000",
    "delete from credit": "the entry belongs to no request, credit or time",
    "update account set balance = balance + 1 where name = 'cash'": "cash: the balance is not the sum",
    "delete from account where name = 'loss'": "loss: the balance is not the sum of its entries: 0",
    "update price set output = output + 1": "the price was changed",
    "update spending set charged = charged - 1 where scope = 'org-1'": "org-1 2026-11: what was spent is not",
    "delete from spending where scope = 'credit/org-1'": "credit/org-1: what was spent is not the sum",
    "update spending set leased = leased + 1 where scope = 'proj_1'": "proj_1 2026-11: what is leased is not",
    "update allowance set epoch = 'epoch_2' where scope = 'org-1'": "is closed and has an allowance",
    "update allowance set amount = -1 where scope = 'org-1'": "the allowance is less than nothing",
    "update spend_limit set cents = 0": "proj_1 2026-11: more is charged and leased than allowed",
    "update credit set amount = 100": "credit/org-1: more is charged and leased than allowed",
    "update usage_rollup set requests = requests + 1 where width = 60": "the rollup is not the sum",
    "update usage_rollup set output_cost = 0 where width = 3600": "the rollup is not the sum",
    "update usage_rollup set task = 'speech'": "the rollup is not the sum of its requests",
    "delete from usage_rollup where width = 86400": "the sum of requests in the rollups is wrong: 0",
    "update usage_rollup set start = start - start % 86400 where width = 3600": "the rollup is not the sum",
    "insert into usage_rollup select organization_id, width, 0, project_id, key_id, snapshot, task, "
    "member_id, 1, 0, 0, 0, 0, 0, 0, 0 from usage_rollup where width = 60 limit 1": "60 seconds: the sum of",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault[:60])
def test_a_fault_is_found(books: Connection, fault: str) -> None:
    assert books.execute(text(fault)).rowcount > 0
    findings = [str(finding) for finding in verify(books)]
    assert any(FAULTS[fault] in finding for finding in findings), findings


def test_a_limit_that_was_lowered_meanwhile_proves_nothing(books: Connection) -> None:
    books.execute(text(f"update spend_limit set cents = 0, updated_at = {NOVEMBER}"))
    credits.add(books, "org-1", -4999, "", NOVEMBER)
    assert verify(books) == []


def test_long_books_are_read_in_pages(books: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    credits.add(books, "org-1", 1, "", NOVEMBER)
    for size in (1, 2, 6):
        monkeypatch.setattr(module, "_PAGE", size)
        assert verify(books) == []
    books.execute(text("update request set cost = 7"))
    monkeypatch.setattr(module, "_PAGE", 1)
    assert {finding.of for finding in verify(books)} >= {f"req_{number}" for number in range(1, 7)}


def test_it_stops_after_many_findings(books: Connection) -> None:
    rows = [
        {
            "request_id": f"req_x{n}",
            "kind": "reserve",
            "debit": "a",
            "credit": "b",
            "amount": 1,
            "posted_at": 0,
        }
        for n in range(2 * MOST)
    ]
    books.execute(insert(tables.account), [{"name": f"a{n}", "balance": 1} for n in range(2 * MOST)])
    books.execute(insert(tables.entry), rows)
    assert len(verify(books)) == MOST


def test_a_finding_reads_as_a_line() -> None:
    assert str(Finding("it is odd", "req_1")) == "req_1: it is odd"
    assert str(Finding("it is odd", "req_1", 3, 4)) == "req_1: it is odd: 3 instead of 4"

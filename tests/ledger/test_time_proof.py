"""The proof of charges for time notices every nano-dollar and second, and nothing where all is right."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Table, event, insert, text, update

from antiphon.ledger import credits
from antiphon.ledger.store import DatabaseStore
from antiphon.ledger.time_charges import bill
from antiphon.ledger.verify import verify
from antiphon.storage import tables
from antiphon.storage.database import Database
from instance_rows import BEGIN, HOUR, fresh_books, rate, ready, sell, stop
from ledger_rows import found, rows

FIRST = BEGIN + 1000
OTHER = "dedicated_2"


def fill(connection: Connection) -> None:
    """Two instances that were billed over the border of a month: one was resized and away, one is prepaid."""
    connection.execute(update(tables.organization).where(text("id = 'org-2'")).values(prepaid=True))
    credits.add(connection, "org-2", 100, "", BEGIN)
    connection.execute(insert(tables.spend_limit).values(scope="org-1", cents=0, updated_at=0))
    sell(connection)
    ready(connection, "dedicated_1", BEGIN + 30, FIRST + 100)
    ready(connection, "dedicated_1", FIRST + 400, FIRST + 9 * HOUR)
    ready(connection, "dedicated_1", FIRST + 200, FIRST + 9 * HOUR, replica=1)
    rate(connection, "dedicated_1", FIRST + 100, 2)
    stop(connection, "dedicated_1", FIRST + 3 * HOUR + 7)
    bill(connection, FIRST + 60)
    sell(connection, OTHER, "org-2", begins_at=FIRST, price=7201, snapshot="model-2")
    ready(connection, OTHER, FIRST, FIRST + 9 * HOUR)
    bill(connection, FIRST + 4 * HOUR)


@pytest.fixture
def books() -> Iterator[Connection]:
    with fresh_books() as connection:
        fill(connection)
        yield connection


async def test_right_books_have_no_findings(database: Database) -> None:
    store = DatabaseStore(database)
    await store.run(found)
    await store.run(fill)
    assert await store.run(verify) == []


ONE = "instance_id = 'dedicated_1'"
SECOND = f"{ONE} and begins_at = {FIRST}"
"""A charge with an outage."""
LAST = f"{ONE} and ends_at = {FIRST + 3 * HOUR + 7}"
FAULTS = {
    f"update time_charge set charged = charged + 1 where {SECOND}": "the charge is not its time",
    f"update time_charge set credited = credited - 1 where {SECOND}": "what is given back is not",
    f"update time_charge set ends_at = ends_at + 1 where {LAST}": "goes on beyond its instance",
    f"update time_charge set ends_at = ends_at - 1 where {LAST}": "the charge is not its time",
    f"update time_charge set begins_at = begins_at + 1 where {SECOND}": "does not begin where",
    f"update time_charge set period = '2027-01' where {SECOND}": "it is billed in another month",
    f"update time_charge set prepaid = true where {SECOND}": "credit/org-1: what was spent is not the sum",
    f"update time_charge set organization_id = 'org-2' where {SECOND}": "the charge is another's",
    f"update time_charge set snapshot = 'model-2' where {SECOND}": "the charge is another's",
    f"update time_charge set id = 'time_none' where {SECOND}": "time_none: it lacks its time",
    f"update time_charge set instance_id = '{OTHER}' where begins_at = {BEGIN}": "does not begin where",
    f"delete from time_charge where {SECOND}": "does not begin where",
    f"delete from time_charge where {LAST}": "the entry belongs to no request, credit or time",
    "delete from time_charge": "the entry belongs to no request, credit or time",
    f"update dedicated_rate set begins_at = {BEGIN} - 1 where begins_at = {BEGIN}": "the first rate does not",
    f"update dedicated_rate set price = price + 1 where {ONE}": "the charge is not its time",
    "update dedicated_rate set replicas = 3 where replicas = 2": "the charge is not its time",
    "update dedicated_rate set begins_at = begins_at + 1 where replicas = 2": "the charge is not its time",
    "update dedicated_instance set ends_at = ends_at - 1 where id = 'dedicated_1'": "the charge is not its",
    f"update dedicated_instance set begins_at = begins_at - 1 where id = '{OTHER}'": "does not begin where",
    f"update dedicated_instance set organization_id = 'org-1' where id = '{OTHER}'": "charge is another's",
    f"update dedicated_instance set snapshot = 'model-3' where id = '{OTHER}'": "the charge is another's",
    f"update dedicated_ready set ends_at = ends_at - 1 where ends_at = {FIRST + 100}": "what is given back",
    "delete from dedicated_ready where replica = 1": "what is given back is not",
    "delete from entry where kind = 'time'": "it lacks its time",
    "delete from entry where kind = 'refund'": "it lacks its refund",
    "update entry set amount = amount + 1 where kind = 'time'": "the amount of its time is wrong",
    "update entry set amount = amount - 1 where kind = 'refund'": "the amount of its refund is wrong",
    "update entry set debit = 'charged/org-9' where kind = 'time'": "the accounts of its time are wrong",
    "update entry set kind = 'charge' where kind = 'refund'": "it has a charge that does not belong",
    "update account set balance = balance + 1 where name = 'charged/org-1'": "the balance is not",
    "update spending set charged = charged - 1 where scope = 'org-1'": "what was spent is not",
    "delete from spending where scope = 'credit/org-2'": "credit/org-2: what was spent is not the sum",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault[:70])
def test_a_fault_is_found(books: Connection, fault: str) -> None:
    assert verify(books) == []
    books.execute(text("pragma foreign_keys = off"))
    assert books.execute(text(fault)).rowcount > 0
    findings = [str(finding) for finding in verify(books)]
    assert any(FAULTS[fault] in finding for finding in findings), findings


def test_requests_may_still_not_pass_a_limit(books: Connection) -> None:
    books.execute(
        text("update spending set charged = charged + 1, leased = leased + 1 where scope = 'org-1'")
    )
    found = {str(finding) for finding in verify(books)}
    assert "org-1 2026-12: more is charged and leased than allowed" in found


MONEY = [
    (tables.time_charge, ("begins_at", "ends_at", "charged", "credited")),
    (tables.entry, ("amount",)),
    (tables.account, ("balance",)),
    (tables.spending, ("charged", "leased")),
    (tables.dedicated_rate, ("begins_at", "price", "replicas")),
]


@settings(deadline=None, max_examples=60, phases=set(Phase) - {Phase.explain})
@given(st.data())
def test_any_other_number_is_found(data: st.DataObject) -> None:
    with fresh_books() as books:
        fill(books)
        table, columns = data.draw(st.sampled_from(MONEY))
        row = data.draw(st.sampled_from(rows(books, table)))
        column = data.draw(st.sampled_from(columns))
        # A price may differ so little that nothing costs anything else.
        unit = HOUR if column == "price" else 1
        other = row[column] + unit * data.draw(st.sampled_from([-3, -2, -1, 1, 2, 3]))
        books.execute(update(table).where(*(_same(table, row))).values({column: other}))
        assert verify(books) != []


def _same(table: Table, row: dict[str, object]) -> list[object]:
    return [column == row[column.name] for column in table.primary_key]


def test_a_price_of_nothing_is_proved_too() -> None:
    with fresh_books() as books:
        sell(books, price=0)
        bill(books, FIRST + 60)
        assert verify(books) == []


def test_the_entries_of_many_charges_are_read_together(books: Connection) -> None:
    asked: list[str] = []

    def listen(connection: object, cursor: object, statement: str, *_: object) -> None:
        asked.extend([statement] if "FROM entry" in statement else [])

    event.listen(books, "before_cursor_execute", listen)
    assert verify(books) == []
    event.remove(books, "before_cursor_execute", listen)
    charges, instances = len(rows(books, tables.time_charge)), 2
    others = 1 + 1  # of requests, of credits, and one for sums at most
    assert charges > 6 and len(asked) <= instances + others

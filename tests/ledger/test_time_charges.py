"""Charges for time: each hour once, adding up to the whole life, whoever bills and however late."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, insert, update

from antiphon.ledger import credits, duration, time_charges
from antiphon.ledger.instances import Agreement, Readiness, agreements, outages
from antiphon.ledger.store import DatabaseStore
from antiphon.ledger.time_charges import Cost, bill, billed, cost, due
from antiphon.ledger.verify import verify
from antiphon.storage import tables
from antiphon.storage.database import Database
from instance_rows import BEGIN, HOUR, ID, charges, fresh_books, rate, ready, sell, stop
from instance_rows import billed as after_billing
from ledger_rows import balances, found, rows, standing

FIRST = BEGIN + 1000
"""22:00, where the first hour ends."""
DECEMBER = FIRST + 2 * HOUR


@pytest.fixture
def books() -> Iterator[Connection]:
    with fresh_books() as connection:
        yield connection
        assert verify(connection) == []


def prepay(connection: Connection, amount: int = 0, organization_id: str = "org-1") -> None:
    chosen = update(tables.organization).where(tables.organization.c.id == organization_id)
    connection.execute(chosen.values(prepaid=True))
    if amount:
        credits.add(connection, organization_id, amount, "", BEGIN)


def test_an_hour_is_billed_a_minute_after_it(books: Connection) -> None:
    sell(books)
    ready(books, ID, BEGIN, FIRST + 9 * HOUR)
    assert after_billing(books, FIRST + 59) == []
    first = (BEGIN, FIRST, 1000, 0)
    assert after_billing(books, FIRST + 60) == [first]
    assert after_billing(books, FIRST + HOUR + 59) == [first]
    assert after_billing(books, FIRST + HOUR + 60) == [first, (FIRST, FIRST + HOUR, HOUR, 0)]
    assert bill(books, FIRST + HOUR + 60) == [] and bill(books, BEGIN) == []


def test_a_charge_is_a_row_with_entries_of_its_organization(books: Connection) -> None:
    sell(books, price=7200)
    ready(books, ID, BEGIN + 100, FIRST + 60)
    [made] = bill(books, FIRST + 60)
    assert (made.charged, made.credited, made.cost, made.posted_at) == (2000, 200, 1800, FIRST + 60)
    assert (made.organization_id, made.snapshot, made.period) == ("org-1", "model-1", "2026-11")
    entries = {(row["kind"], row["debit"], row["credit"], row["amount"]) for row in rows(books, tables.entry)}
    assert entries == {
        ("time", "charged/org-1", "revenue/model-1", 2000),
        ("refund", "revenue/model-1", "charged/org-1", 200),
    }
    assert balances(books) == {"charged/org-1": 1800, "revenue/model-1": -1800}
    assert standing(books) == {"org-1": (1800, 0)}
    assert cost(books, ID) == Cost(2000, 200) and cost(books, "dedicated_none") == Cost()
    assert billed(books, ID) == FIRST and billed(books, "dedicated_none") == 0


def test_an_hour_of_the_next_month_counts_there(books: Connection) -> None:
    sell(books)
    ready(books, ID, BEGIN, DECEMBER + 2 * HOUR)
    made = bill(books, DECEMBER + HOUR + 60)
    assert [one.period for one in made] == ["2026-11"] * 3 + ["2026-12"]
    assert made[2].ends_at == made[3].begins_at == DECEMBER
    spent = {row["period"]: row["charged"] for row in rows(books, tables.spending)}
    assert spent == {"2026-11": 1000 + 2 * HOUR, "2026-12": HOUR}


def test_the_last_time_ends_with_the_instance(books: Connection) -> None:
    sell(books, ends_at=FIRST + 10)
    ready(books, ID, BEGIN, FIRST + 10)
    assert after_billing(books, FIRST + 69) == [(BEGIN, FIRST, 1000, 0)]
    assert after_billing(books, FIRST + 70) == [(BEGIN, FIRST, 1000, 0), (FIRST, FIRST + 10, 10, 0)]
    assert bill(books, FIRST + 999 * HOUR) == [], "long after it ended"


def test_what_ended_long_ago_is_billed_to_its_end(books: Connection) -> None:
    sell(books, ends_at=DECEMBER + 5)
    ready(books, ID, BEGIN, DECEMBER + 5)
    assert after_billing(books, DECEMBER + 9999 * HOUR)[-1] == (DECEMBER, DECEMBER + 5, 5, 0)


@pytest.mark.parametrize("begins_at", [BEGIN, FIRST + 5])
def test_what_was_called_off_costs_nothing(books: Connection, begins_at: int) -> None:
    sell(books, begins_at=begins_at, ends_at=begins_at)
    assert after_billing(books, DECEMBER) == []


def test_what_never_became_ready_costs_nothing(books: Connection) -> None:
    sell(books)
    assert after_billing(books, FIRST + HOUR + 60) == [
        (BEGIN, FIRST, 1000, 1000),
        (FIRST, FIRST + HOUR, HOUR, HOUR),
    ]
    assert balances(books) == {}


def test_a_server_that_was_away_is_an_outage(books: Connection) -> None:
    sell(books)
    ready(books, ID, BEGIN, FIRST + 100)
    ready(books, ID, FIRST + 2 * HOUR, FIRST + 3 * HOUR)
    assert [row[2:] for row in after_billing(books, FIRST + 2 * HOUR + 60)] == [
        (1000, 0),
        (HOUR, HOUR - 100),
        (HOUR, HOUR),
    ]


def test_who_pays_in_advance_pays_from_that(books: Connection) -> None:
    prepay(books, 1500)
    sell(books)
    ready(books, ID, BEGIN, DECEMBER)
    after_billing(books, FIRST + HOUR + 60)
    assert standing(books) == {"org-1": (4600, 0), "credit/org-1": (4600, 0)}
    balance = credits.balance(books, "org-1")
    assert (balance.unspent, balance.left) == (-3100, -3100)


def test_spend_limits_hold_no_time_back(books: Connection) -> None:
    books.execute(insert(tables.spend_limit).values(scope="org-1", cents=0, updated_at=0))
    sell(books)
    ready(books, ID, BEGIN, FIRST)
    assert after_billing(books, FIRST + 60) == [(BEGIN, FIRST, 1000, 0)]


def test_much_is_billed_a_part_at_a_time(books: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_charges, "MOST", 3)
    for number in range(2):
        sell(books, f"dedicated_{number}", price=3600 + number)
        ready(books, f"dedicated_{number}", BEGIN, FIRST + HOUR)
    made = [len(bill(books, FIRST + 4 * HOUR + 60)) for _ in range(5)]
    assert made == [3, 3, 3, 1, 0]
    for number in range(2):
        assert [row[0] for row in charges(books, f"dedicated_{number}")] == [
            BEGIN,
            *range(FIRST, FIRST + 4 * HOUR, HOUR),
        ]


def test_an_instance_for_nothing_is_billed_nothing(books: Connection) -> None:
    sell(books, price=0)
    assert after_billing(books, FIRST + 60) == [(BEGIN, FIRST, 0, 0)]


@pytest.mark.parametrize("ends_at", [None, BEGIN - 5, BEGIN, BEGIN + 1, FIRST, FIRST + 1, DECEMBER + 7])
@pytest.mark.parametrize("now", [BEGIN, FIRST + 59, FIRST + 60, FIRST + HOUR + 61, DECEMBER + 9 * HOUR])
def test_times_that_are_due_lie_in_whole_hours_and_touch(ends_at: int | None, now: int) -> None:
    agreement = agreed(ends_at)
    times = list(due(agreement, BEGIN, now))
    at = BEGIN
    for begin, end in times:
        assert begin == at < end and (end - 1) // HOUR == begin // HOUR
        at = end
    assert at + 60 <= now or not times
    last = now - 60 if ends_at is None else min(ends_at, now - 60)
    assert last - at < HOUR and (ends_at is None or not times or at <= ends_at)


def agreed(ends_at: int | None) -> Agreement:
    return Agreement(id=ID, organization_id="org-1", snapshot="m", begins_at=BEGIN, ends_at=ends_at, rates=())


async def test_two_who_bill_at_once_charge_once(database: Database) -> None:
    store = DatabaseStore(database)
    await store.run(found)
    for number in range(4):
        await store.run(sell, f"dedicated_{number}", f"org-{1 + number % 2}")
    await store.run(prepay, 100, "org-2")
    made = await asyncio.gather(*(store.run(bill, DECEMBER + 60) for _ in range(4)))
    assert sum(map(len, made)) == 4 * 3
    for number in range(4):
        assert len(await store.run(charges, f"dedicated_{number}")) == 3
    assert await store.run(verify) == []


async def test_bills_and_credits_never_wait_for_each_other(database: Database) -> None:
    """They write the same accounts, and would, in another order, each hold what the other waits for."""
    store = DatabaseStore(database)
    await store.run(found)
    for organization_id in ("org-1", "org-2"):
        await store.run(prepay, 1, organization_id)
    for number in range(6):
        snapshot, owner = f"model-{number % 3}", f"org-{1 + number % 2}"
        await store.run(
            lambda c, id, o, s: sell(c, id, o, snapshot=s), f"dedicated_{number}", owner, snapshot
        )
    for hour in range(6):
        now = FIRST + hour * HOUR + 60
        giving = [store.run(credits.add, f"org-{1 + n % 2}", 5, "", now) for n in range(4)]
        await asyncio.gather(store.run(bill, now), *giving, store.run(bill, now))
    assert await store.run(verify) == []


# --- stories: whatever happens, the books are right, and it does not matter when they were written ----------


class Steps:
    """What happens to an instance, in random order: a list of an action and its number."""

    ACTIONS = st.one_of(
        st.tuples(st.just("serve"), st.integers(1, 15)),
        st.tuples(st.just("away"), st.integers(1, 2 * HOUR)),
        st.tuples(st.just("lose"), st.integers(1, 2)),
        st.tuples(st.just("restart"), st.integers(0, 200)),
        st.tuples(st.just("resize"), st.integers(1, 3)),
        st.tuples(st.just("bill"), st.just(0)),
        st.tuples(st.just("prepaid"), st.just(0)),
    )
    ANY = st.lists(ACTIONS, max_size=12)


class Story:
    """An instance whose time is kept as `operations.timekeeping` keeps it, at the pace of a minute."""

    def __init__(self, connection: Connection, price: int, *, timely: bool) -> None:
        self.connection, self.price, self.timely = connection, price, timely
        self.now = self.resized = BEGIN
        self.replicas, self.lost = 1, 0
        self.notes = Readiness()
        sell(connection, price=price)

    def serve(self, minutes: int) -> None:
        for _ in range(minutes):
            self.note()
            self.now += 60
        self.note()
        self.lost = 0

    def note(self) -> None:
        there = {(ID, replica) for replica in range(self.lost, self.replicas)}
        self.notes.note(self.connection, there, self.now)

    def away(self, seconds: int) -> None:
        self.now += seconds

    def lose(self, replicas: int) -> None:
        self.lost = replicas
        self.note()

    def restart(self, seconds: int) -> None:
        self.now += seconds
        self.notes = Readiness()

    def resize(self, replicas: int) -> None:
        if self.now > self.resized:
            rate(self.connection, ID, self.now, replicas, self.price)
            self.replicas, self.resized = replicas, self.now

    def bill(self, _: int) -> None:
        if self.timely:
            for _ in range(2):
                bill(self.connection, self.now)
            assert verify(self.connection) == []

    def prepaid(self, _: int) -> None:
        prepay(self.connection, 1000)

    def end(self) -> list[tuple[int, int, int, int]]:
        stop(self.connection, ID, self.now)
        bill(self.connection, self.now + 60)
        assert verify(self.connection) == []
        return charges(self.connection)


def told(steps: list[tuple[str, int]], price: int, *, timely: bool) -> Any:
    with fresh_books() as connection:
        story = Story(connection, price, timely=timely)
        for action, number in steps:
            getattr(story, action)(number)
        made = story.end()
        [agreement] = agreements(connection)
        return made, agreement, outages(connection, agreement, story.now + 60)


@settings(deadline=None, max_examples=40, phases=set(Phase) - {Phase.explain})
@given(Steps.ANY, st.sampled_from([1, 7, 3599, 3600, 1_500_000_000]))
def test_charges_add_up_to_the_whole_life_whenever_they_are_made(
    steps: list[tuple[str, int]], price: int
) -> None:
    made, agreement, gaps = told(steps, price, timely=True)
    end = agreement.ends_at or 0
    assert [row[0] for row in made] == [BEGIN, *(row[1] for row in made[:-1])][: len(made)]
    assert sum(row[2] for row in made) == duration.charge(agreement.rates, BEGIN, end)
    assert sum(row[3] for row in made) == duration.credit(agreement.rates, gaps, BEGIN, end)
    seconds = sum(
        (min(rate.end or end, end) - rate.begin) * rate.price * rate.replicas for rate in agreement.rates
    )
    assert sum(row[2] for row in made) == seconds // HOUR
    assert all(0 <= credited <= charged for _, _, charged, credited in made)
    late, _, _ = told(steps, price, timely=False)
    assert late == made, "who bills it all at its end bills the same"


def test_a_charge_has_the_same_id_whoever_makes_it(books: Connection) -> None:
    sell(books)
    [made] = bill(books, FIRST + 60)
    [row] = rows(books, tables.time_charge)
    assert row == msgspec.structs.asdict(made) and made.id.startswith("time_")


def test_what_is_billed_to_its_end_is_not_looked_at_again(books: Connection) -> None:
    sell(books, ends_at=FIRST + 10)
    sell(books, "dedicated_2")
    sell(books, "dedicated_3", begins_at=FIRST + 9 * HOUR)
    looked = [(one.id, begin) for one, begin in time_charges._unfinished(books, FIRST)]
    assert sorted(looked) == [(ID, BEGIN), ("dedicated_2", BEGIN)]
    bill(books, FIRST + HOUR + 60)
    looked = [(one.id, begin) for one, begin in time_charges._unfinished(books, FIRST + HOUR + 60)]
    assert looked == [("dedicated_2", FIRST + HOUR)]


def test_what_is_not_billed_yet_is_known(books: Connection) -> None:
    def owed(now: int) -> int:
        return time_charges.unbilled(books, "org-1", now)

    sell(books, replicas=2)
    sell(books, "dedicated_2", "org-2")
    assert [owed(BEGIN - 1), owed(BEGIN), owed(BEGIN + 7)] == [0, 0, 14]
    bill(books, FIRST + 60)
    assert owed(FIRST + 100) == 200
    stop(books, ID, FIRST + 50)
    rate(books, ID, FIRST + 20, 1)
    assert owed(FIRST + 100) == 2 * 20 + 30

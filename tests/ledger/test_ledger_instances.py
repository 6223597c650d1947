"""Dedicated instances as the books see them: what was agreed, and when replicas were ready."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from antiphon.ledger.duration import Outage, Rate
from antiphon.ledger.instances import Agreement, Readiness, agreements, outages
from antiphon.ledger.store import DatabaseStore
from antiphon.storage import tables
from antiphon.storage.database import Database
from instance_rows import BEGIN, ID, fresh_books, rate, ready, sell, stop
from ledger_rows import found, rows

ONE, TWO = (ID, 0), (ID, 1)


@pytest.fixture
def books() -> Iterator[Connection]:
    with fresh_books() as connection:
        yield connection


def spans(connection: Connection) -> list[tuple[int, int, int]]:
    """Of every replica, when it was ready since the beginning of the instance."""
    return [
        (row["replica"], row["begins_at"] - BEGIN, row["ends_at"] - BEGIN)
        for row in rows(connection, tables.dedicated_ready)
    ]


def agreed(connection: Connection, id: str = ID) -> Agreement:
    [one] = [one for one in agreements(connection) if one.id == id]
    return one


def test_an_agreement_is_in_force_until_it_is_changed_or_ends(books: Connection) -> None:
    sell(books)
    rate(books, ID, BEGIN + 50, 3)
    first = Rate(BEGIN, BEGIN + 50, price=3600, replicas=1)
    assert agreed(books).rates == (first, Rate(BEGIN + 50, None, price=3600, replicas=3))
    stop(books, ID, BEGIN + 80)
    assert agreed(books).rates == (first, Rate(BEGIN + 50, BEGIN + 80, price=3600, replicas=3))


def test_one_that_was_called_off_has_no_moment(books: Connection) -> None:
    sell(books, begins_at=BEGIN + 100, ends_at=BEGIN + 100)
    assert agreed(books).rates == (Rate(BEGIN + 100, BEGIN + 100, price=3600, replicas=1),)
    assert outages(books, agreed(books), BEGIN + 9999) == []


def test_each_instance_has_its_own(books: Connection) -> None:
    sell(books)
    sell(books, "dedicated_2", "org-2", replicas=2, price=7)
    assert [(one.id, one.organization_id, one.rates[0].price) for one in agreements(books)] == [
        (ID, "org-1", 3600),
        ("dedicated_2", "org-2", 7),
    ]


def test_outages_are_those_of_the_replicas_that_it_has(books: Connection) -> None:
    sell(books, replicas=2)
    ready(books, ID, BEGIN + 90, BEGIN + 1000)
    ready(books, ID, BEGIN + 10, BEGIN + 500, replica=1)
    ready(books, ID, BEGIN + 10, BEGIN + 20, replica=2)
    sell(books, "dedicated_2")
    assert outages(books, agreed(books), BEGIN + 1000) == [
        Outage(BEGIN, BEGIN + 90),  # before it was ready for the first time
        Outage(BEGIN + 500, BEGIN + 1000),
    ]
    assert outages(books, agreed(books, "dedicated_2"), BEGIN + 70) == [Outage(BEGIN, BEGIN + 70)]


async def test_what_is_ready_is_noted_and_grows(database: Database) -> None:
    store, notes = DatabaseStore(database), Readiness()
    await store.run(found)
    await store.run(sell)
    assert notes.changed({ONE}) and not notes.changed(set())
    for seconds, there in ((0, {ONE}), (10, {ONE, TWO}), (20, {ONE, TWO}), (21, {TWO}), (31, {TWO})):
        await store.run(notes.note, there, BEGIN + seconds)
        assert not notes.changed(there) and notes.changed({ONE} ^ there)
    assert await store.run(spans) == [(0, 0, 20), (1, 10, 31)]
    await store.run(notes.note, {ONE, TWO}, BEGIN + 40)
    assert await store.run(spans) == [(0, 0, 20), (0, 40, 40), (1, 10, 40)]


def test_what_could_not_be_noted_for_a_minute_was_ready_and_for_longer_was_not(books: Connection) -> None:
    sell(books)
    notes = Readiness()
    for seconds in (0, 60, 121):
        notes.note(books, {ONE}, BEGIN + seconds)
    assert spans(books) == [(0, 0, 60), (0, 121, 121)]


def test_who_begins_anew_knows_nothing_of_before(books: Connection) -> None:
    sell(books)
    Readiness().note(books, {ONE}, BEGIN)
    Readiness().note(books, {ONE}, BEGIN + 5)
    Readiness().note(books, set(), BEGIN + 9)
    assert spans(books) == [(0, 0, 0), (0, 5, 5)]


def test_two_who_begin_in_the_same_second_are_one(books: Connection) -> None:
    sell(books)
    Readiness().note(books, {ONE}, BEGIN)
    Readiness().note(books, {ONE}, BEGIN)
    assert spans(books) == [(0, 0, 0)]


def test_what_was_noted_stays_though_the_clock_is_set_back(books: Connection) -> None:
    sell(books)
    notes = Readiness()
    for seconds in (0, 50, 20, 55):
        notes.note(books, {ONE}, BEGIN + seconds)
    assert spans(books) == [(0, 0, 55)]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 150), max_size=30), st.data())
def test_what_is_noted_a_minute_later_never_changes_outages(steps: list[int], data: st.DataObject) -> None:
    """Whatever was said a minute after a moment of the time before it is said for good."""
    with fresh_books() as books:
        sell(books)
        notes, now = Readiness(), BEGIN
        said: dict[int, list[tuple[int, int]]] = {}
        for step in steps:
            now += step
            if data.draw(st.booleans()):
                notes.note(books, {ONE} if data.draw(st.booleans()) else set(), now)
            said[now - 60] = before(now - 60, outages(books, agreed(books), now))
        final = outages(books, agreed(books), now)
        assert said == {moment: before(moment, final) for moment in said}


def before(moment: int, gaps: list[Outage]) -> list[tuple[int, int]]:
    return [(gap.begin, min(gap.end, moment)) for gap in gaps if gap.begin < moment]

"""The log of requests, on both databases: one's own, newest first, in pages that never look at too much."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from sqlalchemy import Connection, text

from antiphon.errors import InvalidRequest
from antiphon.ledger import request_log
from antiphon.ledger.moments import Times
from antiphon.ledger.posting import post
from antiphon.ledger.request_log import LoggedRequest, LogPage, LogQuery, found, logged
from antiphon.ledger.store import DatabaseStore
from antiphon.storage.database import Database
from ledger_rows import NOVEMBER, fund, reserve, settle, void
from ledger_rows import found as house

DAY = 86_400
TIMES = Times(queued=3, engine=5, first=80, ended=900)


@pytest.fixture
async def store(database: Database) -> DatabaseStore:
    """Seven requests of one project, two of which began in the same second, and one of another tenant."""
    store = DatabaseStore(database)
    await store.run(house)
    await store.run(fund)
    reserves: list[dict[str, Any]] = [
        {"model": "gpt-3.5-turbo", "endpoint": "chat.completions"},
        {"key_id": "key_2", "created_at": NOVEMBER + 60},
        {"snapshot": "speech-1", "task": "speech", "created_at": NOVEMBER + 60},
        {"created_at": NOVEMBER + DAY},
        {"created_at": NOVEMBER + DAY + 1},
        {"organization_id": "org-2", "project_id": "proj_2", "created_at": NOVEMBER + DAY + 2},
        {"created_at": NOVEMBER + 2 * DAY},
    ]
    ends = [
        settle(2, "req_0", times=TIMES),
        settle(4, "req_1"),
        settle(6, "req_2", 0, 0, 9),
        void(8, "req_3"),
        settle(10, "req_4", reason="CancelledError"),
        void(12, "req_5"),
    ]
    for number, about in enumerate(reserves):
        records = [reserve(2 * number + 1, f"req_{number}", **about), *ends[number : number + 1]]
        await store.run(post, "epoch_1", records, NOVEMBER)
    return store


async def page(store: DatabaseStore, **wanted: Any) -> LogPage:
    return await store.run(logged, LogQuery(**{"organization_id": "org-1"} | wanted))


async def ids(store: DatabaseStore, **wanted: Any) -> list[str]:
    return [one.id for one in (await page(store, **wanted)).data]


async def test_a_request_is_told_whole(store: DatabaseStore) -> None:
    assert (await page(store)).data[-1] == LoggedRequest(
        id="req_0",
        created_at=NOVEMBER,
        ended_at=NOVEMBER + 5,
        project_id="proj_1",
        key_id="key_1",
        member_id="user-1",
        task="chat",
        endpoint="chat.completions",
        model="gpt-3.5-turbo",
        snapshot="model-1",
        outcome="complete",
        reason=None,
        input_tokens=100,
        cached_tokens=0,
        output_tokens=50,
        seconds=0,
        cost=200,
        reserved=1000,
        times=TIMES,
    )


async def test_how_each_ended_and_what_it_cost(store: DatabaseStore) -> None:
    assert [(one.id, one.outcome, one.reason, one.cost) for one in (await page(store)).data] == [
        ("req_6", "open", None, 0),
        ("req_4", "broken_off", "CancelledError", 200),
        ("req_3", "voided", "EngineFailed", 0),
        ("req_2", "complete", None, 63),
        ("req_1", "complete", None, 200),
        ("req_0", "complete", None, 200),
    ]


WANTED: list[tuple[dict[str, Any], str]] = [
    ({}, "643210"),
    ({"project_id": "proj_1"}, "643210"),
    ({"project_id": "proj_2"}, ""),
    ({"project_id": "proj_3"}, ""),
    ({"organization_id": "org-2"}, "5"),
    ({"key_id": "key_2"}, "1"),
    ({"model": "gpt-3.5-turbo"}, "0"),
    ({"model": "speech-1"}, "2"),
    ({"model": "speech-1", "key_id": "key_2"}, ""),
    ({"outcome": "complete"}, "210"),
    ({"outcome": "broken_off"}, "4"),
    ({"outcome": "voided"}, "3"),
    ({"outcome": "open"}, "6"),
    ({"outcome": "lost"}, ""),
    ({"since": NOVEMBER + 60, "until": NOVEMBER + DAY + 1}, "321"),
    ({"since": NOVEMBER + 60, "until": NOVEMBER + DAY + 1, "model": "model-1"}, "31"),
    ({"key_id": "\x00"}, ""),
    ({"project_id": "\x00"}, ""),
]
"""What is asked for, and the numbers of the requests that are it."""


async def test_what_is_wanted_is_found(store: DatabaseStore) -> None:
    for wanted, numbers in WANTED:
        assert await ids(store, **wanted) == [f"req_{number}" for number in numbers], wanted


async def test_pages_come_one_after_another_with_nothing_twice(
    store: DatabaseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = [{}, {"model": "model-1"}, {"project_id": "proj_1", "outcome": "complete"}]
    for wanted in asked:
        whole = await ids(store, **wanted)
        assert len(whole) > 2
        for looked_at, limit in itertools.product((1, 2, 3, 10_000), (1, 2, 6)):
            monkeypatch.setattr(request_log, "LOOKED_AT", looked_at)
            assert await collected(store, limit, wanted) == whole


async def collected(store: DatabaseStore, limit: int, wanted: dict[str, Any]) -> list[str]:
    """The requests of all pages."""
    found: list[str] = []
    after: str | None = None
    for _ in range(20):
        one = await page(store, **wanted, limit=limit, after=after)
        assert len(one.data) <= limit
        found += [line.id for line in one.data]
        if (after := one.next) is None:
            return found
    raise AssertionError("there is no end")


async def test_a_filter_that_finds_nothing_looks_at_no_more_than_it_may(
    store: DatabaseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_log, "LOOKED_AT", 2)
    first = await page(store, model="nobody's")
    assert first.data == [] and first.next == "req_3", "the newest two, and all of the next one's second"
    assert (await page(store, model="nobody's", after=first.next)).next is not None


async def test_a_page_begins_after_a_request_of_ones_own_and_is_bounded(store: DatabaseStore) -> None:
    for after in ("req_99", "req_5", "\x00"):
        with pytest.raises(InvalidRequest, match="'after'"):
            await page(store, after=after)
    for limit in (0, 101):
        with pytest.raises(InvalidRequest, match="between 1 and 100"):
            await page(store, limit=limit)


async def test_one_request_is_found_by_its_own_organization_alone(store: DatabaseStore) -> None:
    one = await store.run(found, "org-1", "req_2")
    assert one is not None and (one.snapshot, one.seconds, one.times) == ("speech-1", 9, Times())
    for organization, id in (("org-2", "req_2"), ("org-1", "req_99"), ("org-1", "\x00")):
        assert await store.run(found, organization, id) is None


@pytest.mark.parametrize(
    ("wanted", "index"),
    [({}, "ix_request_organization"), ({"project_id": "proj_1"}, "ix_request_project")],
)
async def test_pages_are_found_by_an_index(store: DatabaseStore, wanted: Any, index: str) -> None:
    def plan(connection: Connection) -> str:
        query = LogQuery(organization_id="org-1", since=NOVEMBER, after="req_4", **wanted)
        statement = request_log._newest(
            request_log.select(request_log.request), request_log._scope(connection, query)
        )
        said = str(statement.limit(51).compile(connection, compile_kwargs={"literal_binds": True}))
        postgresql = connection.dialect.name == "postgresql"
        if postgresql:  # which reads so few rows without an index, unless it is kept from it
            connection.execute(text("set local enable_seqscan = off"))
            connection.execute(text("set local enable_bitmapscan = off"))
        rows = connection.execute(text(("explain " if postgresql else "explain query plan ") + said))
        return "\n".join(str(row) for row in rows)

    assert index in await store.run(plan)

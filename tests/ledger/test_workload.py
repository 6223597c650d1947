"""What an organization asks for, out of the books: lengths, days, and the busiest minute."""

from __future__ import annotations

from datetime import date
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, insert

from antiphon.ledger import workload
from antiphon.ledger.advice import Day
from antiphon.ledger.posting import post
from antiphon.ledger.store import DatabaseStore
from antiphon.ledger.workload import MEASURING, Peak, Shape
from antiphon.storage.database import Database
from antiphon.storage.tables import api_key
from ledger_rows import NOVEMBER, found, fund, reserve, settle, void

DAY, HOUR = 86_400, 3600
SPAN = {"first": date(2026, 11, 1), "last": date(2026, 11, 4)}

REQUESTS: list[tuple[dict[str, Any], tuple[int, int, int]]] = [
    ({}, (100, 50, 0)),
    ({"created_at": NOVEMBER + 30}, (10, 5, 0)),
    ({"created_at": NOVEMBER + 2 * DAY, "key_id": "key_2"}, (7, 3, 0)),
    ({"created_at": NOVEMBER + 3 * DAY, "key_id": "key_tune"}, (1000, 900, 0)),
    ({"created_at": NOVEMBER + HOUR, "snapshot": "model-2"}, (400, 1, 0)),
    ({"created_at": NOVEMBER + HOUR, "snapshot": "speech-1", "task": "speech"}, (0, 0, 60)),
    ({"created_at": NOVEMBER + HOUR, "organization_id": "org-2", "project_id": "proj_2"}, (9, 9, 0)),
    ({"created_at": NOVEMBER + 4 * DAY}, (20, 0, 0)),
    ({"created_at": NOVEMBER + 5 * DAY}, (30, 4, 0)),
]
"""What was asked, and the input, output and seconds that it had."""


def measuring(connection: Connection) -> None:
    """The key with which an instance was measured."""
    key = {"kind": "project", "organization_id": "org-1", "scopes": "chat", "redacted": "", "created_at": 0}
    connection.execute(insert(api_key).values(key | {"id": "key_tune", "name": MEASURING}))


@pytest.fixture
async def store(database: Database) -> DatabaseStore:
    store = DatabaseStore(database)
    for step in (found, fund, partial(fund, amount=10**6), measuring):
        await store.run(step)
    for number, (about, use) in enumerate(REQUESTS):
        name, seq = f"req_{number}", 2 * number
        records = [reserve(seq + 1, name, **about), settle(seq + 2, name, *use)]
        await store.run(post, "epoch_1", records, NOVEMBER)
    last = 2 * len(REQUESTS)
    voided = [reserve(last + 1, "req_void", created_at=NOVEMBER + 5 * DAY), void(last + 2, "req_void")]
    await store.run(post, "epoch_1", voided, NOVEMBER)
    return store


async def shapes(store: DatabaseStore, since: int = 0, limit: int = 100, **changes: str) -> list[Shape]:
    asked = {"organization_id": "org-1", "snapshot": "model-1"} | changes
    return await store.run(partial(workload.shapes, since=since, limit=limit, **asked))


async def test_lengths_are_those_of_the_newest_answers(store: DatabaseStore) -> None:
    everything = [Shape(30, 4), Shape(7, 3), Shape(10, 5), Shape(100, 50)]
    assert await shapes(store) == everything
    assert await shapes(store, limit=2) == everything[:2]
    assert await shapes(store, since=NOVEMBER + 30) == everything[:3]
    assert await shapes(store, snapshot="model-2") == [Shape(400, 1)]
    assert await shapes(store, snapshot="speech-1") == []
    assert await shapes(store, organization_id="org-2") == [Shape(9, 9)]


async def test_days_are_whole_and_without_gaps(store: DatabaseStore) -> None:
    days = partial(workload.days, organization_id="org-1", snapshot="model-1", **SPAN)
    assert await store.run(days) == [
        Day(date(2026, 11, 1), 110 + 2 * 55, 165),
        Day(date(2026, 11, 2), 0, 0),
        Day(date(2026, 11, 3), 7 + 2 * 3, 10),
        Day(date(2026, 11, 4), 0, 0),
    ]


async def test_models_that_were_used_come_by_what_they_cost(store: DatabaseStore) -> None:
    used = partial(workload.snapshots, **SPAN)
    assert await store.run(used, "org-1") == ["model-2", "model-1"]
    assert await store.run(used, "org-2") == ["model-1"]
    assert await store.run(used, "org-3") == []


async def test_the_peak_is_the_busiest_minute(store: DatabaseStore) -> None:
    peak = partial(workload.peak, **SPAN)
    assert await store.run(peak, "org-1", "model-1") == Peak(NOVEMBER, 165)
    assert await store.run(peak, "org-1", "nothing") is None
    assert Peak(0, 165).rate == 3 and Peak(0, 120).rate == 2

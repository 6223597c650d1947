"""Who uses a snapshot, on both databases."""

from __future__ import annotations

from typing import Any

from antiphon.ledger.posting import post
from antiphon.ledger.store import DatabaseStore
from antiphon.ledger.users import User, users
from antiphon.storage.database import Database
from ledger_rows import NOVEMBER, found, fund, reserve, settle

DAY = 86_400
MIDNIGHT = NOVEMBER - NOVEMBER % DAY


async def test_keys_are_told_with_their_requests_and_their_last_day(database: Database) -> None:
    store = DatabaseStore(database)
    await store.run(found)
    await store.run(fund)
    requests: list[dict[str, Any]] = [
        {"key_id": "key_2"},
        {},
        {"created_at": NOVEMBER + 2 * DAY},
        {"snapshot": "speech-1", "task": "speech"},
        {"created_at": NOVEMBER - 3 * DAY},
    ]
    for number, about in enumerate(requests):
        name, seq = f"req_{number}", 2 * number
        await store.run(post, "epoch_1", [reserve(seq + 1, name, **about), settle(seq + 2, name)], NOVEMBER)
    snapshot = reserve(1).snapshot
    told = await store.run(users, snapshot, NOVEMBER)
    assert [(one.key_id, one.requests, one.last_at) for one in told] == [
        (reserve(1).key_id, 2, MIDNIGHT + 2 * DAY),
        ("key_2", 1, MIDNIGHT),
    ]
    assert isinstance(told[0], User) and told[0].project
    assert await store.run(users, "nobody's", 0) == []
    assert sum(one.requests for one in await store.run(users, snapshot, 0)) == 4

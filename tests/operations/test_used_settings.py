from __future__ import annotations

import json
from typing import Any

from sqlalchemy import select

from antiphon.operations import used_settings
from antiphon.settings import Settings
from antiphon.storage.database import Database
from antiphon.storage.tables import audit_log


async def told(database: Database) -> list[dict[str, Any]]:
    query = select(audit_log.c.payload).where(audit_log.c.type == used_settings.TYPE)
    async with database.connect() as connection:
        rows = await connection.scalars(query.order_by(audit_log.c.sequence))
        return [json.loads(payload) for payload in rows]


async def test_settings_are_told_when_they_change_and_never_a_password(database: Database) -> None:
    first = Settings(home="/a", requests_per_minute=5, database="postgresql://me:hunter2@host/x")
    other = Settings(
        home="/b", valkey="valkey://:hunter2@host", content_keys="postgresql://me:hunter2@keys/x"
    )
    for settings in (first, first, other, first, other):
        await used_settings.record(database, settings, 1000.0)
    [of_first, of_other] = await told(database)
    assert of_first == {
        "id": first.server,
        "changes_requested": {"home": "/a", "database": "(not shown)", "requests_per_minute": 5},
    }
    assert of_other["changes_requested"] == {
        "home": "/b",
        "content_keys": "(not shown)",
        "valkey": "(not shown)",
    }
    back = Settings(home="/a", requests_per_minute=6)
    for settings in (back, first):
        await used_settings.record(database, settings, 1001.0)
    assert [one["changes_requested"].get("requests_per_minute") for one in await told(database)] == [
        5, None, 6, 5,
    ]  # fmt: skip

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert

from antiphon.moderation.policy import RATE
from antiphon.operations.anomalies import RECENT_SECONDS, Anomalies, busy
from antiphon.operations.moderating import Moderating
from antiphon.storage.database import Database
from antiphon.storage.tables import usage_rollup
from tenants import START, World

NOW = START - START % 3600 + 1800
_ZERO = dict.fromkeys(
    ("input_tokens", "cached_tokens", "output_tokens", "seconds", "input_cost", "output_cost", "audio_cost"),
    0,
)


class House:
    """An organization with usage as the ledger writes it."""

    def __init__(self, world: World, organization_id: str) -> None:
        self.world, self.id = world, organization_id
        self.moderating = Moderating(world.database, lambda: NOW)

    async def use(self, key: str, width: int, start: int, requests: int) -> None:
        start -= start % width
        row: dict[str, Any] = {
            "organization_id": self.id, "width": width, "start": start, "project_id": "proj_1",
            "key_id": key, "snapshot": "chat-1", "task": "chat", "requests": requests,
        }  # fmt: skip
        async with self.world.database.begin() as connection:
            await connection.execute(insert(usage_rollup).values(row | _ZERO))

    async def usual(self, key: str, an_hour: int, hours: int = 24) -> None:
        for ago in range(1, hours + 1):
            await self.use(key, 3600, NOW - ago * 3600, an_hour)

    async def recent(self, key: str, requests: int) -> None:
        await self.use(key, 60, NOW - 120, requests)

    async def found(self, factor: float = 20) -> list[tuple[str, int]]:
        async with self.world.database.connect() as connection:
            return [(one.key_id, round(one.factor)) for one in await connection.run_sync(busy, factor, NOW)]


@pytest.fixture
async def house(database: Database) -> House:
    world = World(database)
    return House(world, (await world.organization()).id)


async def test_a_key_far_above_its_usual_rate_is_found(house: House) -> None:
    await house.usual("steady", 60)
    await house.recent("steady", 99)  # 20 times, and few
    await house.usual("wild", 60)
    await house.recent("wild", 200)
    await house.usual("busy", 1200)
    await house.recent("busy", 1000)
    assert await house.found() == [("wild", 40)]
    assert await house.found(41) == []
    assert RECENT_SECONDS == 300


async def test_a_new_key_has_no_usual_rate_and_long_ago_does_not_count(house: House) -> None:
    await house.recent("new", 5000)
    await house.use("old", 3600, NOW - 8 * 86_400, 5000)
    await house.recent("old", 5000)
    assert await house.found() == []


async def test_it_is_flagged_once_an_hour(house: House) -> None:
    await house.usual("wild", 60)
    await house.recent("wild", 200)
    watching = Anomalies(house.world.database, house.moderating.act, 20, lambda: NOW)
    for _ in range(3):
        await watching.look()
    [flag], _ = await house.moderating.flags(house.id)
    assert (flag.category, flag.key_id, flag.request_id, flag.action) == (RATE, "wild", None, "alert")
    assert flag.detail == "40 times the usual rate: 200 requests in 300 s"

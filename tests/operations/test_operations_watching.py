"""One of all processes adds up, opens and resolves incidents, and says so in both logs."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import select

from antiphon.operations import watching
from antiphon.operations.watching import LEASE_SECONDS, Watcher
from antiphon.settings import Settings
from antiphon.status import incidents
from antiphon.status.counting import Counter
from antiphon.status.outcomes import objectives
from antiphon.storage.database import Database
from antiphon.storage.tables import audit_log
from status_house import DAY, Minutes


class House(Minutes):
    def watcher(self, holder: str = "a") -> Watcher:
        counter = Counter(objectives(Settings()), lambda: self.now)
        return Watcher(self.database, counter, 99.9, holder, lambda: self.now + 10)


@pytest.fixture
def house(database: Database) -> House:
    return House(database)


async def test_an_outage_is_told_and_resolved(house: House, caplog: pytest.LogCaptureFixture) -> None:
    watcher = house.watcher()
    await house.pass_by(60, chat=(1, 0))
    await watcher.look()
    await house.pass_by(2, chat=(0, 1))
    with caplog.at_level(logging.INFO, watching.__name__):
        await watcher.look()
        await watcher.look()
        await house.pass_by(40, chat=(1, 0))
        await watcher.look()
    levels = [(one.levelname, one.getMessage().partition(":")[0]) for one in caplog.records]
    assert [one for one in levels if one[1] == "Chat"] == [("ERROR", "Chat"), ("INFO", "Chat")]
    [[incident], _] = await house.run(incidents.listed, limit=5)
    assert incident.title == "Chat: outage" and incident.resolved_at
    async with house.database.connect() as connection:
        types = (await connection.execute(select(audit_log.c.type).order_by(audit_log.c.id))).scalars().all()
    assert [one for one in types if one.startswith("incident")] == ["incident.opened", "incident.resolved"]


async def test_an_outage_within_an_incident_is_told_as_well(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    watcher = house.watcher()
    await house.pass_by(240, chat=(88, 1))
    await watcher.look()
    await house.pass_by(10, chat=(0, 1))
    await watcher.look()
    errors = [one.getMessage().partition(":")[2] for one in caplog.records if one.levelname == "ERROR"]
    assert [one.split(":")[0] for one in errors] == [" degraded", " outage"]
    async with house.database.connect() as connection:
        types = (await connection.execute(select(audit_log.c.type).order_by(audit_log.c.id))).scalars().all()
    assert [one for one in types if one.startswith("incident")] == ["incident.opened", "incident.escalated"]


async def test_one_of_two_watches_and_the_other_takes_over(house: House) -> None:
    one, other = house.watcher("a"), house.watcher("b")
    await house.pass_by(60, chat=(1, 0))
    await one.look()
    await house.pass_by(2, chat=(0, 1))
    house.now -= 100  # within the lease
    await other.look()
    assert await house.run(incidents.listed, limit=5) == ([], False)
    house.now += 100 + LEASE_SECONDS
    await other.look()
    assert len((await house.run(incidents.listed, limit=5))[0]) == 1
    await one.look()
    assert len((await house.run(incidents.listed, limit=5))[0]) == 1


async def test_what_is_old_is_removed(house: House) -> None:
    await house.pass_by(5, chat=(1, 0))
    watcher = house.watcher()
    await watcher.look()
    house.now += 9 * DAY
    await house.pass_by(1, chat=(1, 0))
    for _ in range(8):  # as often as it takes to add up nine days
        await watcher.look()
    house.now += 3600
    await watcher.look()
    assert {start for _, start in await house.counted()} == {house.now - 3660}
    assert len(await house.spans(DAY)) == 10


async def test_it_goes_on_when_the_database_is_back_and_complains_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_LOOK", 0.01)
    async with Database(f"sqlite+aiosqlite:///{tmp_path}/no/such.db") as database:
        with suppress(TimeoutError):
            await asyncio.wait_for(House(database).watcher().run(), 0.3)
    assert len([one for one in caplog.records if one.name == watching.__name__]) == 1

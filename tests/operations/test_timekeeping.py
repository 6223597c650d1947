"""The time of instances is kept: who is ready is noted, hours are billed, and what cannot be paid ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection, update

from antiphon.errors import ConfigurationError, Unavailable
from antiphon.ledger import credits, time_charges
from antiphon.ledger.instances import Replica
from antiphon.ledger.verify import verify
from antiphon.operations import timekeeping
from antiphon.operations.dedicated import Dedicated, Standing
from antiphon.operations.orders import Order
from antiphon.operations.timekeeping import Timekeeper
from antiphon.pools import machines
from antiphon.pools.machines import Machine
from antiphon.settings import Settings
from antiphon.storage import tables
from antiphon.storage.database import Database
from antiphon.values import Capacity
from instance_rows import charges
from ledger_rows import rows
from service import SPEECH, catalogue
from tenants import START, World

DOLLAR, HOUR = 10**9, 3600
ORDER = Order(model=SPEECH, price=3600)
"""A nano-dollar a second."""
SERVER = "host:/data"
HERE = {"here": Capacity(cpus=64_000, memory=2**40)}
KNOWN = [Machine(SERVER, "here", HERE["here"])]


class Machines:
    """A runtime of which only its machines are asked."""

    def __init__(self) -> None:
        self.there: Mapping[str, Capacity] = HERE
        self.problem: Exception | None = None
        self.silent = False

    async def machines(self) -> Mapping[str, Capacity]:
        if self.silent:
            await asyncio.Event().wait()
        if self.problem:
            raise self.problem
        return self.there


class House:
    """An organization with an instance that began at START, and who keeps its time."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.database = world.database
        self.runtime = Machines()
        self.ready: set[Replica] = set()
        offering = catalogue(folder)
        settings = Settings(home=str(folder))
        self.dedicated = Dedicated(self.database, lambda: offering, settings, lambda: self.world.wall)
        self.keeper = self.another()

    def another(self) -> Timekeeper:
        """Who begins anew, or in another process."""
        runtime: Any = self.runtime
        ready, clock = lambda: set(self.ready), lambda: self.world.wall
        return Timekeeper(self.database, runtime, self.dedicated, ready, clock, server=SERVER)

    async def run(self, work: Any, *arguments: Any) -> Any:
        return await self.database.run(lambda connection: work(connection, *arguments))

    async def sell(self, *, prepaid: int | None = None, **order: Any) -> Standing:
        name = f"org {len(await self.run(rows, tables.organization))}"
        organizations = self.world.access.organizations
        owner = await organizations.create(name, prepaid=prepaid is not None, by=None)
        if prepaid:
            await self.run(credits.add, owner.id, prepaid, "", START)
        return await self.dedicated.create(owner.id, replace(ORDER, **order), by=None)

    async def pass_(self, seconds: int, step: int = 30) -> None:
        """Look every so often, until so many seconds later."""
        end = self.world.wall + seconds
        while self.world.wall < end:
            self.world.wall = min(end, self.world.wall + step)
            await self.keeper.look()

    async def spans(self) -> list[tuple[int, int, int]]:
        found = await self.run(rows, tables.dedicated_ready)
        return [(row["replica"], row["begins_at"] - START, row["ends_at"] - START) for row in found]

    async def state(self, one: Standing) -> str:
        found = (await self.dedicated.get(one.instance.organization_id, one.id)).instance
        now = self.world.wall
        return "ended" if found.over(now) else "running" if found.runs(now) else "scheduled"


@pytest.fixture
async def house(database: Database, tmp_path: Path) -> House:
    house = House(World(database), tmp_path)
    await house.keeper.tell()
    return house


async def test_who_is_ready_is_noted_at_once_and_then_every_ten_seconds(house: House) -> None:
    one = await house.sell()
    house.ready = {(one.id, 0)}
    await house.keeper.look()
    for second, until in ((1, 0), (9, 0), (10, 10), (15, 10), (20, 20)):
        house.world.wall = START + second
        await house.keeper.look()
        assert await house.spans() == [(0, 0, until)]
    house.ready = set()
    house.world.wall = START + 25
    await house.keeper.look()
    house.ready = {(one.id, 0)}
    house.world.wall = START + 26
    await house.keeper.look()
    assert await house.spans() == [(0, 0, 20), (0, 26, 26)]


async def test_hours_are_billed_as_they_pass(house: House) -> None:
    one = await house.sell()
    await house.pass_(90)
    house.ready = {(one.id, 0)}
    await house.pass_(2 * HOUR + 120)
    made = await house.run(charges, one.id)
    assert made == [
        (START, START + HOUR, HOUR, 120),  # it was seen ready at the next look
        (START + HOUR, START + 2 * HOUR, HOUR, 0),
    ]
    assert await house.run(verify) == []


async def test_a_server_that_was_away_bills_what_it_missed(house: House) -> None:
    one = await house.sell()
    house.ready = {(one.id, 0)}
    await house.keeper.look()
    await house.pass_(HOUR // 2)
    house.world.wall += 3 * HOUR
    house.keeper = house.another()
    await house.keeper.look()
    made = await house.run(charges, one.id)
    assert [(charged, credited) for _, _, charged, credited in made] == [
        (HOUR, HOUR // 2),
        (HOUR, HOUR),
        (HOUR, HOUR),
    ]
    await house.pass_(HOUR)
    assert await house.run(verify) == []


async def test_what_is_much_is_billed_look_by_look(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_charges, "MOST", 2)
    one = await house.sell()
    house.world.wall += 5 * HOUR + 60
    for expected in (2, 4, 5, 5):
        await house.keeper.look()
        assert len(await house.run(charges, one.id)) == expected
        house.world.wall += 1


async def test_one_that_began_anew_within_a_minute_credits_nothing(house: House) -> None:
    one = await house.sell()
    house.ready = {(one.id, 0)}
    await house.keeper.look()
    await house.pass_(600)
    house.world.wall += 60
    house.keeper = house.another()
    await house.keeper.look()
    await house.pass_(HOUR)
    assert (await house.run(charges, one.id))[0][2:] == (HOUR, 0)


async def test_two_who_keep_time_bill_once(house: House) -> None:
    one = await house.sell()
    house.ready = {(one.id, 0)}
    for _ in range(3 * 12 + 1):
        house.world.wall += 300
        await asyncio.gather(house.keeper.look(), house.another().look())
    assert len(await house.run(charges, one.id)) == 3
    assert await house.run(verify) == []


async def test_what_is_paid_in_advance_runs_out(house: House, caplog: pytest.LogCaptureFixture) -> None:
    rich = await house.sell(prepaid=10**6)
    poor = await house.sell(prepaid=HOUR)
    other = await house.sell()
    free = await house.sell(prepaid=1, price=0)
    house.ready = {(one.id, 0) for one in (rich, poor, other, free)}
    await house.keeper.look()
    await house.pass_(HOUR + 59)
    assert await house.state(poor) == "running"
    await house.pass_(61)
    states = [await house.state(one) for one in (rich, poor, other, free)]
    assert states == ["running", "ended", "running", "running"]
    assert caplog.text.count("what was paid in advance is spent") == 1 and poor.id in caplog.text
    await house.pass_(2 * HOUR)
    assert caplog.text.count("is spent") == 1
    end = (await house.dedicated.get(poor.instance.organization_id, poor.id)).instance.ends_at
    assert (await house.run(charges, poor.id))[-1][1] == end
    assert await house.run(verify) == []


async def test_what_has_not_begun_waits_for_money(house: House) -> None:
    one = await house.sell(prepaid=2 * HOUR, ends_at=START + HOUR)
    organization_id = one.instance.organization_id
    later = await house.dedicated.create(organization_id, replace(ORDER, begins_at=START + 9 * HOUR), by=None)
    await house.run(credits.add, organization_id, -HOUR, "", START)
    house.ready = {(one.id, 0)}
    await house.keeper.look()
    await house.pass_(3 * HOUR)
    assert (await house.run(credits.balance, organization_id)).unspent == 0
    assert (await house.state(one), await house.state(later)) == ("ended", "scheduled")
    await house.pass_(8 * HOUR, step=600)
    assert await house.state(later) == "ended", (
        "its first hour could not be paid; or was free, as it was away"
    )


async def test_what_is_held_for_requests_is_not_spent(house: House) -> None:
    one = await house.sell(prepaid=2 * HOUR)
    scope = f"credit/{one.instance.organization_id}"
    lease = {"scope": scope, "period": "", "charged": 0, "leased": 2 * HOUR, "wanted_at": 0}
    await house.run(lambda connection: connection.execute(tables.spending.insert().values(lease)))
    house.ready = {(one.id, 0)}
    await house.keeper.look()
    await house.pass_(HOUR + 120)
    assert await house.state(one) == "running"


async def test_the_machines_are_told(house: House) -> None:
    assert await house.run(machines.known, START) == KNOWN
    house.world.wall += 60
    await house.keeper.tell()
    assert await house.run(machines.known, START + machines.FORGOTTEN) == KNOWN


async def test_a_server_takes_over_from_one_that_is_gone(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    one = await house.sell()
    gone = "gone:/data"

    def move(connection: Connection) -> None:
        machines.tell(connection, gone, HERE, START)
        connection.execute(update(tables.dedicated_instance).values(server=gone))

    async def server() -> str:
        return (await house.dedicated.get(one.instance.organization_id, one.id)).instance.server

    await house.run(move)
    house.world.wall += machines.FORGOTTEN
    late = house.another()
    await late.tell()
    assert await server() == gone, "who has only begun waits for others that begin"
    await house.keeper.tell()
    assert await server() == SERVER and one.id in caplog.text


@pytest.mark.parametrize(
    "problem", [ConfigurationError("There is no Ray cluster"), RuntimeError("gone"), None]
)
async def test_a_cluster_that_is_away_stops_no_time(
    house: House, problem: Exception | None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(timekeeping, "_LOOK", 0.02)
    monkeypatch.setattr(timekeeping, "_ANSWER", 0.05)
    one = await house.sell()
    house.ready = {(one.id, 0)}
    house.runtime.problem, house.runtime.silent = problem, problem is None
    keeping = asyncio.create_task(house.keeper.run())
    try:
        async with asyncio.timeout(10):
            while not await house.spans() or "not told which machines there are" not in caplog.text:
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.3)
        assert caplog.text.count("it is not told") == 1, "what stays wrong is told once"
        assert "is not kept" not in caplog.text, "time goes on"
        house.runtime.problem, house.runtime.silent = None, False
        house.runtime.there = {"new": Capacity(cpus=1000)}
        async with asyncio.timeout(10):
            while "new" not in {one.name for one in await house.run(machines.known, START)}:
                await asyncio.sleep(0.02)
    finally:
        keeping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await keeping


async def test_a_database_that_is_away_is_tried_again(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(timekeeping, "_LOOK", 0.02)
    one = await house.sell()
    house.ready = {(one.id, 0)}
    begin = house.database.begin
    monkeypatch.setattr(house.database, "begin", partial(_away, house.database))
    keeping = asyncio.create_task(house.keeper.run())
    with caplog.at_level(logging.WARNING):
        await asyncio.sleep(0.2)
    assert "The database is away." in caplog.text
    monkeypatch.setattr(house.database, "begin", begin)
    async with asyncio.timeout(10):
        while await house.spans() != [(0, 0, 0)]:
            await asyncio.sleep(0.02)
    keeping.cancel()
    await asyncio.wait({keeping})


def _away(_: Database) -> Any:
    raise Unavailable("The database is away.")

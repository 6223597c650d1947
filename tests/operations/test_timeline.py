"""What became of instances: from rows as the service and the server write them."""

from __future__ import annotations

from pathlib import Path

from antiphon.access.pepper import check_pepper
from antiphon.catalogue.instances import Instance
from antiphon.ledger.duration import Outage, Span
from antiphon.ledger.instances import Readiness
from antiphon.operations.dedicated import Dedicated
from antiphon.operations.orders import Order
from antiphon.operations.timeline import timelines
from antiphon.pools import machines
from antiphon.settings import Settings
from antiphon.storage.database import Database
from antiphon.values import Capacity
from service import SPEECH, catalogue
from tenants import PEPPER, START, World


async def test_times_are_those_that_were_reserved_ready_and_away(database: Database, tmp_path: Path) -> None:
    await check_pepper(database, PEPPER)
    world = World(database)
    acme, other = await world.organization("acme"), await world.organization("other")
    offering = catalogue(tmp_path, {"snapshots": {SPEECH: {"dedicated": {"price_per_hour": "1"}}}})
    service = Dedicated(database, lambda: offering, Settings(home=str(tmp_path)), lambda: world.wall)
    there = {"rack-1": Capacity(cpus=64_000, memory=64 << 30)}
    await database.run(lambda c: machines.tell(c, server="here", machines=there, now=START))

    async def sold(organization_id: str, **order: int) -> Instance:
        world.wall += 1
        made = await service.create(organization_id, Order(model=SPEECH, **order), by=None)
        return made.instance

    runs, off = await sold(acme.id, ends_at=START + 5000), await sold(acme.id, begins_at=START + 900)
    await service.end(acme.id, off.id, by=None)
    await sold(other.id)
    noted = Readiness()
    for moment in range(START + 100, START + 201, 50):
        await database.run(lambda c, at=moment: noted.note(c, [(runs.id, 0)], at))
    found = await database.run(lambda c: timelines(c, acme.id, START + 600))
    assert [one.instance_id for one in found] == [runs.id], "neither what never began, nor another's"
    assert found[0].reserved == Span(START + 1, START + 5000)
    assert found[0].ready == [Span(START + 100, START + 200)]
    assert found[0].away == [Outage(START + 1, START + 100), Outage(START + 200, START + 600)]

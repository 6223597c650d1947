"""What the page shows, for histories written by hand."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, insert

from antiphon.status import incidents
from antiphon.status.incidents import New
from antiphon.status.report import DAYS, report
from antiphon.storage.database import Database
from antiphon.storage.tables import status_probe
from antiphon.wire.status import Status, StatusApi
from status_house import BEGIN, DAY, Minutes


@pytest.fixture
def house(database: Database) -> Minutes:
    return Minutes(database)


async def shown(house: Minutes, seconds: int = 30) -> Status:
    return await house.run(report, objective=99.9, now=house.now + seconds)


def api(status: Status, name: str = "chat") -> StatusApi:
    return next(one for one in status.apis if one.name == name)


async def test_without_a_history_nothing_is_said_to_be_well(house: Minutes) -> None:
    status = await shown(house)
    assert status.state == "no_data" and status.incidents == [] and status.watched_at is None
    for one in status.apis:
        assert one.state == "no_data" and one.since is None and one.budget is None and one.probe is None
        assert set(one.uptime.values()) == {None}
        assert len(one.days) == DAYS and {day.uptime for day in one.days} == {None}


async def test_figures_of_two_days(house: Minutes) -> None:
    await house.pass_by(1440, chat=(4, 0))
    await house.pass_by(20, chat=(0, 3))
    await house.pass_by(20, chat=(9, 0))
    await house.watch()
    status = await shown(house)
    chat = api(status)
    assert (status.state, chat.state, chat.since) == ("operational", "operational", BEGIN)
    assert [day.uptime for day in chat.days[-3:]] == [None, 100.0, 50.0]
    assert (chat.days[-1].lost_minutes, chat.days[-1].requests) == (20.0, 20 * 3 + 20 * 9)
    assert chat.uptime == {
        "24h": pytest.approx(100 * (1 - 20 / 1420), abs=0.05),
        "7d": 98.648,
        "30d": 98.648,
        "90d": 98.648,
    }
    assert chat.budget is not None
    assert (chat.budget.minutes, chat.budget.lost_minutes) == (43.2, 20.0)
    assert chat.budget.left == pytest.approx(100 * (1 - 20 / 43.2), abs=0.1)
    assert chat.alert == "degraded" and chat.burn_rates["degraded"] == pytest.approx(20 / 0.36, abs=0.01)
    assert api(status, "speech").state == "no_data"


async def test_the_state_is_that_of_the_last_minutes(house: Minutes) -> None:
    await house.pass_by(60, chat=(1, 0))
    for good, bad, state in (
        (97, 1, "operational"),
        (10, 1, "degraded"),
        (1, 1, "degraded"),
        (1, 2, "outage"),
        (1, 0, "operational"),
    ):
        await house.pass_by(5, chat=(good, bad))
        await house.watch()
        status = await shown(house)
        assert api(status).state == state and status.state == state


async def test_who_was_not_asked_lately_is_idle_and_not_well(house: Minutes) -> None:
    await house.pass_by(10, chat=(1, 0))
    await house.pass_by(30)
    await house.watch()
    assert api(await shown(house)).state == "operational"
    await house.pass_by(60)
    await house.watch()
    assert api(await shown(house)).state == "idle"


async def test_maintenance_incidents_and_probes_are_shown(house: Minutes) -> None:
    await house.pass_by(10, chat=(1, 0))
    new = New(title="Disks", text="New ones.", begins_at=house.now, ends_at=house.now + 600)
    made = await house.run(incidents.open_by_hand, new=new, now=house.now - 60)

    def probe(connection: Connection) -> None:
        row = {"api": "chat", "at": BEGIN, "good": False, "milliseconds": 12, "reason": "it was answered 503"}
        connection.execute(insert(status_probe).values(row))

    await house.run(probe)
    await house.watch()
    status = await shown(house)
    assert status.state == "maintenance" and api(status).state == "maintenance"
    [incident] = status.incidents
    assert (incident.id, incident.kind, incident.api, incident.notes[0].text) == (
        made.id,
        "maintenance",
        None,
        "New ones.",
    )
    found = api(status).probe
    assert found is not None and (found.good, found.reason) == (False, "it was answered 503")


async def test_days_older_than_ninety_are_not_in_the_figures(house: Minutes) -> None:
    await house.pass_by(5, chat=(0, 1))
    house.now = BEGIN + DAYS * DAY
    await house.pass_by(5, chat=(1, 0))
    await house.watch()
    chat = api(await shown(house))
    assert chat.uptime["90d"] is not None and len(chat.days) == DAYS
    assert chat.days[0].down_minutes == 1440 and chat.days[-1].uptime == 100.0

"""Hours and days are what their minutes come to, however often and late they are added up."""

from __future__ import annotations

from functools import partial

import pytest
from sqlalchemy import func, select

from antiphon.status import counting, incidents, rolling
from antiphon.status.arithmetic import MILLION
from antiphon.storage.database import Database
from antiphon.storage.tables import status_minute
from status_house import BEGIN, DAY, Minutes

HOUR = 3600


@pytest.fixture
def house(database: Database) -> Minutes:
    return Minutes(database)


async def test_hours_and_days(house: Minutes) -> None:
    await house.pass_by(30, chat=(3, 1))
    await house.pass_by(60, chat=(2, 0), speech=(1, 0))
    await house.watch()
    hours = await house.spans(HOUR)
    assert {key: (row["known"], row["lost"], row["good"], row["bad"]) for key, row in hours.items()} == {
        ("chat", BEGIN): (60, 30 * MILLION // 4, 90 + 60, 30),
        ("chat", BEGIN + HOUR): (30, 0, 60, 0),
        ("speech", BEGIN): (30, 0, 30, 0),
        ("speech", BEGIN + HOUR): (30, 0, 30, 0),
    }
    days = await house.spans(DAY)
    assert days["chat", BEGIN]["known"] == 90 and days["chat", BEGIN]["lost"] == 30 * MILLION // 4
    before = hours | days
    await house.watch()
    assert await house.spans(HOUR) | await house.spans(DAY) == before


async def test_what_comes_late_is_added(house: Minutes) -> None:
    await house.pass_by(90, chat=(1, 0))
    await house.watch()
    await house.run(counting.write, counts={("chat", BEGIN): (0, 1)})
    await house.pass_by(1, chat=(1, 0))
    await house.watch()
    assert (await house.spans(HOUR))["chat", BEGIN]["lost"] == MILLION // 2
    assert (await house.spans(DAY))["chat", BEGIN]["bad"] == 1


async def test_a_time_without_a_server_is_lost_to_the_apis_that_were_there(house: Minutes) -> None:
    await house.pass_by(30, chat=(1, 0))
    await house.pass_by(5 * 1440, alive=False)
    await house.pass_by(30, chat=(1, 0), speech=(1, 0))
    at = house.now
    assert not await house.run(rolling.roll, now=at), "days are added up in several transactions"
    await house.watch()
    days = await house.spans(DAY)
    assert [days["chat", BEGIN + n * DAY]["down"] for n in range(6)] == [1410, 1440, 1440, 1440, 1440, 30]
    assert sum(row["lost"] for (api, _), row in days.items() if api == "chat") == 5 * 1440 * MILLION
    assert ("speech", BEGIN) not in days and days["speech", BEGIN + 5 * DAY]["down"] == 0


async def test_announced_maintenance_is_not_lost_and_ends_when_it_is_said_to(house: Minutes) -> None:
    await house.pass_by(10, chat=(1, 0))
    new = incidents.New(title="Disks", text="New ones.", begins_at=BEGIN + 600, ends_at=BEGIN + 3000)
    made = await house.run(incidents.open_by_hand, new=new, now=BEGIN + 300)
    await house.pass_by(20, alive=False)
    await house.run(incidents.resolve, incident_id=made.id, text="Done.", now=house.now)
    await house.pass_by(5, alive=False)
    await house.pass_by(5, chat=(1, 0))
    await house.watch()
    hour = (await house.spans(HOUR))["chat", BEGIN]
    assert (hour["known"], hour["down"]) == (20, 5)


async def test_nothing_is_known_before_anything_was_counted(house: Minutes) -> None:
    assert await house.run(rolling.roll, now=BEGIN)
    assert await house.spans(DAY) == {} and await house.run(rolling.since) == {}
    assert await house.run(rolling.identity) == ""


async def test_minutes_and_hours_are_removed_in_the_end_and_days_never(
    house: Minutes, database: Database
) -> None:
    await house.pass_by(3, chat=(1, 1))
    await house.watch()
    first = await house.run(rolling.identity)
    house.now = BEGIN + 100 * DAY
    await house.pass_by(3, chat=(1, 0))
    await house.watch()
    await house.run(rolling.prune, now=house.now)
    assert {start for _, start in await house.counted()} == {BEGIN + 100 * DAY + n * 60 for n in range(3)}
    hours, days = await house.spans(HOUR), await house.spans(DAY)
    assert min(start for _, start in hours) == BEGIN + 8 * DAY + HOUR
    assert days["chat", BEGIN]["bad"] == 3 and len(days) == 101
    assert days["chat", BEGIN]["lost"] == 3 * MILLION // 2 + 1437 * MILLION
    assert (await house.run(rolling.since))["chat"] == BEGIN and await house.run(rolling.identity) == first


async def test_minutes_that_are_not_added_up_stay(house: Minutes, database: Database) -> None:
    await house.pass_by(3, chat=(1, 1))
    await database.run(partial(rolling.prune, now=BEGIN + 100 * DAY))
    async with database.connect() as connection:
        assert await connection.scalar(select(func.count()).select_from(status_minute)) == 6

"""Alerts open incidents, make them worse, and resolve them."""

from __future__ import annotations

import msgspec
import pytest
from sqlalchemy import select

from antiphon.status import incidents
from antiphon.status.watching import ANSWERED, BACK, SILENT, Watched
from antiphon.storage.database import Database
from antiphon.storage.tables import status_mark, status_message
from status_house import Minutes


@pytest.fixture
async def house(database: Database) -> Minutes:
    house = Minutes(database)
    await house.pass_by(120, chat=(1, 0), speech=(5, 0))
    assert await house.watch() == []
    return house


async def test_an_outage_opens_one_incident_that_is_resolved_once_it_is_over(house: Minutes) -> None:
    await house.pass_by(1, chat=(0, 1), speech=(5, 0))
    assert await house.watch() == []
    await house.pass_by(1, chat=(0, 1), speech=(5, 0))
    [opened] = await house.watch()
    assert (opened.title, opened.api, opened.severity) == ("Chat: outage", "chat", "outage")
    assert "14.4 times" in opened.notes[0].text and "99.9 %" in opened.notes[0].text
    await house.pass_by(8, chat=(0, 1), speech=(5, 0))
    assert await house.watch() == []
    for _ in range(28):
        await house.pass_by(1, chat=(1, 0), speech=(5, 0))
        assert await house.watch() == []
    await house.pass_by(1, chat=(1, 0), speech=(5, 0))
    [over] = await house.watch()
    assert over.id == opened.id and over.resolved_at
    await house.pass_by(120, chat=(1, 0), speech=(5, 0))
    assert await house.watch() == [], "the slow rule still remembers it; nothing is opened for that"


async def test_it_becomes_worse_and_is_one_incident(house: Minutes, database: Database) -> None:
    await house.pass_by(240, chat=(88, 1), speech=(5, 0))  # 11x
    [opened] = await house.watch()
    assert opened.severity == "degraded"
    await house.pass_by(10, chat=(0, 1), speech=(5, 0))
    [going] = await house.watch()
    assert (going.id, going.title, going.severity) == (opened.id, "Chat: outage", "outage")
    assert [note.event for note in going.notes] == ["opened", "escalated"]
    assert await house.watch() == [], "once"
    async with database.connect() as connection:
        told = (await connection.execute(select(status_message.c.event, status_message.c.next_at))).all()
    assert [event for event, due in told if due is not None] == ["opened", "escalated"]


async def test_silence_after_failures_does_not_end_an_incident_before_a_good_answer(house: Minutes) -> None:
    await house.pass_by(10, chat=(0, 1), speech=(5, 0))
    [opened] = await house.watch()
    for _ in range(4):
        await house.pass_by(60, speech=(5, 0))
        assert await house.watch() == [], "nobody asks for chat any more"
    await house.pass_by(1, chat=(99, 1))
    assert await house.watch() == [], "too many fail still"
    await house.pass_by(1, chat=(1, 0))
    [over] = await house.watch()
    assert (over.id, over.notes[-1].text) == (opened.id, ANSWERED) and over.resolved_at


@pytest.mark.parametrize("minutes", [10, 60])
async def test_after_six_hours_of_silence_an_incident_says_so(house: Minutes, minutes: int) -> None:
    await house.pass_by(minutes, chat=(0, 1), speech=(5, 0))
    [opened] = await house.watch()
    await house.pass_by(359, speech=(5, 0))
    assert await house.watch() == []
    await house.pass_by(1, speech=(5, 0))
    [over] = await house.watch()
    assert (over.id, over.notes[-1].text) == (opened.id, SILENT) and over.resolved_at
    await house.pass_by(60, speech=(5, 0))
    assert await house.watch() == []


async def test_a_slow_burn_is_an_incident_until_nothing_fires(house: Minutes) -> None:
    await house.pass_by(1440, chat=(219, 1))  # 4.5x
    [opened] = await house.watch()
    assert opened.severity == "slow_burn" and opened.title == "Chat: more failures than promised"
    await house.pass_by(200, chat=(1, 0))
    assert await house.watch() == []
    await house.pass_by(100, chat=(1, 0))
    [over] = await house.watch()
    assert over.id == opened.id and over.resolved_at


async def test_what_people_resolved_is_not_opened_again_for_what_was_lost_before(house: Minutes) -> None:
    await house.pass_by(3, chat=(0, 1))
    [opened] = await house.watch()
    await house.run(incidents.resolve, incident_id=opened.id, text="Repaired.", now=house.now)
    await house.pass_by(1, chat=(1, 0))
    assert await house.watch() == []
    await house.pass_by(2, chat=(0, 1))
    [again] = await house.watch()
    assert again.id != opened.id


async def test_a_server_that_was_away_is_an_outage_of_all_that_was_there(house: Minutes) -> None:
    await house.pass_by(5, alive=False)
    await house.pass_by(1, chat=(1, 0))
    opened = await house.watch()
    assert {(one.api, one.severity) for one in opened} == {("chat", "outage"), ("speech", "outage")}
    await house.pass_by(40, chat=(1, 0))
    said = {one.api: one.notes[-1].text for one in await house.watch()}
    assert said == {"chat": ANSWERED, "speech": BACK}, "what was asked last of speech was answered well"


async def test_what_was_seen_is_kept_for_the_page(house: Minutes, database: Database) -> None:
    await house.pass_by(2, chat=(0, 1), speech=(5, 0))
    await house.watch()
    async with database.connect() as connection:
        said = await connection.scalar(select(status_mark.c.said).where(status_mark.c.name == "watched"))
    seen = msgspec.json.decode(said or "", type=Watched)
    burns = {one.api: one for one in seen.burns}
    assert seen.at == house.now + 10
    assert burns["chat"].alert == "outage" and burns["speech"].alert == ""
    assert burns["chat"].rates == {"outage": 33.33, "degraded": 5.56, "slow_burn": 0.46}
    assert burns["speech"].rates == {"outage": 0.0, "degraded": 0.0, "slow_burn": 0.0}

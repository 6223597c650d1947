"""Incidents are opened, noted, resolved, and kept."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection, select

from antiphon.errors import InvalidRequest, NotFound
from antiphon.status import incidents
from antiphon.status.incidents import New
from antiphon.storage.database import Database
from antiphon.storage.tables import status_message
from status_house import BEGIN, DAY, Minutes

NEW = New(title="Slow answers", text="We look at it.", api="chat")


@pytest.fixture
def house(database: Database) -> Minutes:
    return Minutes(database)


async def told(house: Minutes) -> list[tuple[str, str]]:
    def read(connection: Connection) -> list[tuple[str, str]]:
        query = select(status_message.c.incident_id, status_message.c.event).order_by(status_message.c.id)
        return [(row.incident_id, row.event) for row in connection.execute(query)]

    return await house.run(read)


async def test_one_is_opened_noted_and_resolved(house: Minutes) -> None:
    made = await house.run(incidents.open_by_hand, new=NEW, now=BEGIN)
    assert (made.kind, made.api, made.title, made.opened_at) == ("manual", "chat", "Slow answers", BEGIN)
    assert made.goes_on(BEGIN + 9 * DAY)
    for n in range(3):  # in one second, too, they stay in their order
        await house.run(incidents.note, incident_id=made.id, text=f"note {n}", now=BEGIN + 1)
    over = await house.run(incidents.resolve, incident_id=made.id, text="Found.", now=BEGIN + 2)
    assert [(note.event, note.text) for note in over.notes] == [
        ("opened", "We look at it."),
        ("noted", "note 0"),
        ("noted", "note 1"),
        ("noted", "note 2"),
        ("resolved", "Found."),
    ]
    assert over.resolved_at == over.updated_at == BEGIN + 2 and not over.goes_on(BEGIN + 2)
    with pytest.raises(InvalidRequest, match="already"):
        await house.run(incidents.resolve, incident_id=made.id, text="Again.", now=BEGIN + 3)
    assert len((await house.run(incidents.get, incident_id=made.id)).notes) == 5
    await house.run(incidents.note, incident_id=made.id, text="What we learned.", now=BEGIN + 4)
    assert await told(house) == [(made.id, "opened"), (made.id, "resolved")]


async def test_there_is_one_of_an_alert(house: Minutes) -> None:
    alert: dict[str, Any] = {"severity": "outage", "title": "Chat: outage", "text": "It fails."}
    made = await house.run(incidents.open_by_alert, api="chat", now=BEGIN, **alert)
    assert made is not None
    assert await house.run(incidents.open_by_alert, api="chat", now=BEGIN + 1, **alert) is None
    assert await house.run(incidents.open_by_alert, api="speech", now=BEGIN + 1, **alert)
    going = await house.run(incidents.going, api="chat")
    assert going == made and await house.run(incidents.last_resolved, api="chat") == 0
    await house.run(incidents.resolve, incident_id=made.id, text="Over.", now=BEGIN + 2)
    assert await house.run(incidents.going, api="chat") is None
    assert await house.run(incidents.last_resolved, api="chat") == BEGIN + 2
    assert await house.run(incidents.open_by_alert, api="chat", now=BEGIN + 3, **alert)


async def test_they_are_listed_the_newest_first_in_pages(house: Minutes) -> None:
    made = [await house.run(incidents.open_by_hand, new=NEW, now=BEGIN + n) for n in range(3)]
    page, more = await house.run(incidents.listed, limit=2)
    assert [one.id for one in page] == [made[2].id, made[1].id] and more
    page, more = await house.run(incidents.listed, limit=2, after=made[1].id)
    assert page == [made[0]] and not more


async def test_maintenance_is_announced_before_it_begins(house: Minutes) -> None:
    planned = New(title="Disks", text="New ones.", begins_at=BEGIN + 60, ends_at=BEGIN + 120)
    made = await house.run(incidents.open_by_hand, new=planned, now=BEGIN)
    assert made.kind == "maintenance" and made.goes_on(BEGIN + 119) and not made.goes_on(BEGIN + 120)
    over = await house.run(incidents.resolve, incident_id=made.id, text="Not needed.", now=BEGIN + 1)
    assert over.resolved_at == BEGIN + 60, "there is none of it"


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"title": ""}, "title"),
    ({"title": "x" * 201}, "title"),
    ({"title": "two\nlines"}, "title"),
    ({"text": " "}, "text"),
    ({"text": "x" * 2001}, "text"),
    ({"text": "\x00"}, "text"),
    ({"api": "images"}, "api"),
    ({"begins_at": BEGIN + 60}, "begins_at"),
    ({"ends_at": BEGIN + 60}, "begins_at"),
    ({"begins_at": BEGIN, "ends_at": BEGIN + 60, "api": ""}, "begins_at"),
    ({"begins_at": BEGIN + 60, "ends_at": BEGIN + 60, "api": ""}, "ends_at"),
    ({"begins_at": BEGIN + 60, "ends_at": BEGIN + 61 + 7 * DAY, "api": ""}, "ends_at"),
    ({"begins_at": BEGIN + 60, "ends_at": BEGIN + 120, "api": "chat"}, "api"),
]


async def test_what_cannot_be_shown_is_refused_by_name(house: Minutes) -> None:
    for changes, param in REFUSED:
        with pytest.raises(InvalidRequest) as refused:
            await house.run(incidents.open_by_hand, new=replace(NEW, **changes), now=BEGIN)
        assert refused.value.param == param, changes
    assert await house.run(incidents.listed, limit=5) == ([], False) and await told(house) == []


async def test_lines_may_be_several_and_nobody_notes_what_is_not_there(house: Minutes) -> None:
    made = await house.run(incidents.open_by_hand, new=replace(NEW, text="one\ntwo"), now=BEGIN)
    assert made.notes[0].text == "one\ntwo"
    for change in (incidents.note, incidents.resolve):
        with pytest.raises(NotFound):
            await house.run(change, incident_id="incident_1", text="x", now=BEGIN)

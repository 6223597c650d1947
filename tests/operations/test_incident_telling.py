"""The webhook is told of each incident's beginning and end, once, signed, until it hears."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select

from antiphon.operations.incident_telling import IncidentTeller
from antiphon.operations.telling import DELAYS, LEASE_SECONDS
from antiphon.operations.webhook import Webhook, load_secret
from antiphon.status import incidents
from antiphon.status.incidents import Incident, New
from antiphon.storage.database import Database
from antiphon.storage.tables import status_message
from receiver import Receiver, receiving
from status_house import BEGIN, Minutes


class House(Minutes):
    def __init__(self, home: Path, database: Database, receiver: Receiver) -> None:
        super().__init__(database)
        self.home, self.receiver = home, receiver

    def teller(self) -> IncidentTeller:
        webhook = Webhook(f"{self.receiver.address}/hook", load_secret(self.home))
        return IncidentTeller(self.database, webhook, lambda: self.now)

    async def open(self) -> Incident:
        new = New(title="Slow", text="We look at it.", api="chat")
        return await self.run(incidents.open_by_hand, new=new, now=self.now)

    async def next_at(self) -> list[int | None]:
        async with self.database.connect() as connection:
            rows = await connection.execute(select(status_message.c.next_at).order_by(status_message.c.id))
            return list(rows.scalars())


@pytest.fixture
async def house(tmp_path: Path, database: Database) -> AsyncIterator[House]:
    async with receiving() as receiver:
        yield House(tmp_path, database, receiver)


async def test_the_beginning_and_the_end_are_told_once_by_one_of_many(house: House) -> None:
    made = await house.open()
    await asyncio.gather(house.teller().look(), house.teller().look())
    house.now += 60
    await house.run(incidents.note, incident_id=made.id, text="Found.", now=house.now)
    await house.run(incidents.resolve, incident_id=made.id, text="Repaired.", now=house.now)
    for _ in range(2):
        await house.teller().look()
    opened, resolved = house.receiver.told(house.home)
    assert (opened["type"], resolved["type"]) == ("incident.opened", "incident.resolved")
    assert opened["timestamp"] == "2027-01-15T00:00:00Z" and opened["data"]["id"] == made.id
    assert opened["data"]["title"] == "Slow" and opened["data"]["resolved_at"] is None
    assert resolved["data"]["resolved_at"] == BEGIN + 60
    assert [note["text"] for note in resolved["data"]["notes"]] == ["We look at it.", "Found.", "Repaired."]
    assert await house.next_at() == [None, None]


async def test_it_is_told_again_until_it_is_heard_and_given_up_in_the_end(house: House) -> None:
    await house.open()
    house.receiver.answers = [500] * (len(DELAYS) + 1)
    teller = house.teller()
    for tries, delay in enumerate(DELAYS, start=1):
        await teller.look()
        assert len(house.receiver.messages) == tries and await house.next_at() == [house.now + delay]
        await teller.look()
        assert len(house.receiver.messages) == tries
        house.now += delay
    await teller.look()
    assert await house.next_at() == [None], "given up"
    ids = {headers["webhook-id"] for headers, _ in house.receiver.messages}
    assert len(house.receiver.messages) == len(DELAYS) + 1 and len(ids) == 1


async def test_one_whose_teller_died_is_told_by_another(house: House) -> None:
    await house.open()
    house.receiver.slow = 1
    telling = asyncio.create_task(house.teller().look())
    while not house.receiver.messages:
        await asyncio.sleep(0.01)
    telling.cancel()
    await asyncio.wait((telling,))
    house.receiver.slow = 0
    await house.teller().look()
    assert len(house.receiver.messages) == 1, "its lease lasts"
    house.now += LEASE_SECONDS
    await house.teller().look()
    assert len(house.receiver.messages) == 2 and await house.next_at() == [None]

"""Every thing is told once, to the end, on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from antiphon.catalogue.catalogue import Catalogue, at
from antiphon.catalogue.document import document
from antiphon.catalogue.entries import Ending, Switch
from antiphon.catalogue.store import ModelStore
from antiphon.ledger.posting import post
from antiphon.ledger.users import Project
from antiphon.operations.notices import DAY, Notice
from antiphon.operations.telling import CALM_SECONDS, DELAYS, LEASE_SECONDS, MOST_PROJECTS, Teller, body
from antiphon.operations.webhook import Webhook, load_secret
from antiphon.storage.database import Database
from antiphon.storage.tables import notice
from ledger_rows import NOVEMBER, found, fund, reserve, settle
from pretended import BASE, TINY, pretend_installed
from receiver import Receiver, receiving
from until import until

DAYS = 7
LATER = NOVEMBER + 20 * DAY


class House:
    """A clock, changes, and as many machines as are asked for."""

    def __init__(self, home: Path, database: Database, receiver: Receiver) -> None:
        self.home, self.database, self.receiver = home, database, receiver
        self.now = NOVEMBER
        self.switches: list[Switch] = []
        self.endings: list[Ending] = []
        pretend_installed(home, BASE, TINY)

    def switch(self, to: str, moment: int) -> None:
        self.switches.append(
            Switch(id=f"s{len(self.switches)}", alias="whisper-1", snapshot=to, at=moment, announced_at=0)
        )

    def machine(self, name: str = "here", *, forgets: bool = False) -> Teller:
        """Another process of a machine; one that `forgets` has a file without the switches."""
        webhook = Webhook(f"{self.receiver.address}/hook", load_secret(self.home))
        empty = document(self.home / "models.toml", "")

        made: list[tuple[Any, Catalogue]] = []

        def catalogue() -> Catalogue:
            """As a server has it: made anew when something is another, or its next moment has come."""
            said = () if forgets else tuple(self.switches), tuple(self.endings)
            before, last = made[-1] if made else (None, None)
            moment = last.next_moment() if last else None
            if last is None or said != before or (moment is not None and self.now >= moment):
                last = at(empty, ModelStore(self.home), self.now, *said)
                made.append((said, last))
            return last

        return Teller(self.database, catalogue, webhook, DAYS, name, lambda: self.now)

    async def rows(self) -> list[Any]:
        async with self.database.connect() as connection:
            return list((await connection.execute(select(notice).order_by(notice.c.id))).all())


@pytest.fixture
async def house(tmp_path: Path, database: Database) -> AsyncIterator[House]:
    async with receiving() as receiver:
        yield House(tmp_path, database, receiver)


async def test_a_switch_is_told_when_it_is_announced_is_near_and_has_happened(house: House) -> None:
    teller = house.machine()
    await teller.look()
    assert house.receiver.types == []
    house.switch(TINY, LATER)
    for moment in (NOVEMBER + 5, NOVEMBER + 10, LATER - DAYS * DAY - 1):
        house.now = moment
        await teller.look()
    assert house.receiver.types == ["model.switch.announced"]
    for moment in (LATER - DAYS * DAY, LATER - 1):
        house.now = moment
        await teller.look()
        assert house.receiver.types[1:] == ["model.switch.near"]
    for moment in (LATER, LATER + 5, LATER + 30 * DAY):
        house.now = moment
        await teller.look()
        assert house.receiver.types[2:] == ["model.switch.happened"]
    told = house.receiver.told(house.home)
    assert told[0]["data"] == {
        "alias": "whisper-1", "from": BASE, "to": TINY, "at": "2026-11-21T12:00:00Z", "notes": "",
        "users": [], "users_left_out": 0, "users_of_days": 30,
    }  # fmt: skip
    assert told[0]["timestamp"] == "2026-11-01T12:00:05Z"
    assert len({headers["webhook-id"] for headers, _ in house.receiver.messages}) == 3


async def test_what_is_noticed_at_once_is_told_in_its_order(house: House) -> None:
    wanted = [TINY, BASE] * 4
    for place, snapshot in enumerate(wanted):
        house.switch(snapshot, NOVEMBER + place)
    house.now += DAY
    await house.machine().look()
    assert [one["data"]["to"] for one in house.receiver.told(house.home)] == wanted


async def test_what_is_announced_late_is_not_near_as_well(house: House) -> None:
    house.switch(TINY, NOVEMBER + DAY)
    teller = house.machine()
    await teller.look()
    house.now += DAY - 1
    await teller.look()
    assert house.receiver.types == ["model.switch.announced"]


async def test_who_used_it_is_named(house: House) -> None:
    async with house.database.begin() as connection:
        await connection.run_sync(found)
        await connection.run_sync(fund)
        about = {"snapshot": BASE, "task": "speech", "created_at": NOVEMBER}
        for number in range(3):
            records = [
                reserve(2 * number + 1, f"req_{number}", **about | {"key_id": f"key_{number % 2}"}),
                settle(2 * number + 2, f"req_{number}"),
            ]
            await connection.run_sync(lambda c, r=records: post(c, "epoch_1", r, NOVEMBER))
    house.endings = [Ending(snapshot=BASE, deprecated=date(2026, 11, 1), shutdown=date(2026, 11, 2))]
    await house.machine().look()
    [told] = house.receiver.told(house.home)
    assert told["type"] == "model.end.announced" and told["data"]["model"] == BASE
    assert told["data"]["users"] == [
        {
            "organization_id": "org-1", "organization": "o1", "project_id": "proj_1", "project": "p",
            "requests": 3, "last_used_at": "2026-11-01",
        }
    ]  # fmt: skip
    house.now = int(datetime(2026, 12, 5, tzinfo=UTC).timestamp())
    house.endings = [Ending(snapshot=BASE, deprecated=date(2026, 11, 1), shutdown=date(2026, 12, 6))]
    await house.machine().look()
    assert house.receiver.told(house.home)[-1]["data"]["users"] == [], "that was more than 30 days ago"


def test_a_message_is_bounded() -> None:
    one = Project(organization_id="o", organization="o", project_id="p", project="p", requests=1, last_at=0)
    about = Notice(matter="model.end", event="near", name="m", snapshot="m", to="", at=0)
    assert f'"users_left_out":{5}'.encode() in body(about, 0, [one] * (MOST_PROJECTS + 5))


async def missed(house: House, *machines: Teller) -> None:
    """They look again and again until they are sure that something is missing."""
    for seconds in (0, CALM_SECONDS - 1, 1):
        house.now += seconds
        before = list(house.receiver.messages)
        await asyncio.gather(*(machine.look() for machine in machines))
        assert seconds == 1 or house.receiver.messages == before


async def test_what_is_written_in_several_steps_is_not_called_off(house: House) -> None:
    teller = house.machine()
    house.switch(TINY, LATER)
    await teller.look()
    for _ in range(3):
        switches, house.switches = house.switches, []
        await teller.look()
        house.now += CALM_SECONDS - 1
        await teller.look()
        house.switches = switches
        await teller.look()
    assert house.receiver.types == ["model.switch.announced"]


async def test_a_machine_calls_off_nothing_that_another_one_says(house: House) -> None:
    house.switch(TINY, LATER)
    says, other = house.machine("a"), house.machine("b", forgets=True)
    for _ in range(10):
        await says.look()
        await other.look()
        house.now += CALM_SECONDS
    assert house.receiver.types == ["model.switch.announced"]
    house.switches = []
    await missed(house, house.machine("a"), other)
    assert house.receiver.types[1:] == ["model.switch.cancelled"]


async def test_what_is_called_off_is_told_to_those_who_heard_of_it_and_may_come_again(house: House) -> None:
    teller = house.machine()
    house.switch(TINY, LATER)
    await teller.look()
    switches, house.switches = house.switches, []
    await missed(house, teller)
    assert house.receiver.types == ["model.switch.announced", "model.switch.cancelled"]
    house.switches = switches
    await teller.look()
    house.switches = []
    await missed(house, teller)
    await missed(house, teller)
    assert house.receiver.types[2:] == ["model.switch.announced", "model.switch.cancelled"]
    assert len({headers["webhook-id"] for headers, _ in house.receiver.messages}) == 4


async def test_nobody_hears_that_what_nobody_heard_of_is_called_off(house: House) -> None:
    house.receiver.answers = [500]
    house.switch(TINY, LATER)
    teller = house.machine()
    await teller.look()
    house.switches = []
    house.receiver.answers = [500, 500, 500]
    await teller.look()
    house.now += CALM_SECONDS
    await teller.look()
    assert set(house.receiver.types) == {"model.switch.announced"} and await house.rows() == []


async def test_many_machines_tell_it_once(house: House) -> None:
    house.receiver.slow = 0.2
    house.switch(TINY, LATER)
    machines = [house.machine() for _ in range(5)]
    await asyncio.gather(*(machine.look() for machine in machines))
    await asyncio.gather(*(machine.look() for machine in machines))
    assert house.receiver.types == ["model.switch.announced"]
    house.switches = []
    await missed(house, *machines)
    assert house.receiver.types[1:] == ["model.switch.cancelled"]


async def test_a_message_that_fails_is_sent_again_with_its_id_and_given_up_at_last(house: House) -> None:
    house.receiver.answers = [500] * 100
    house.switch(TINY, LATER)
    teller = house.machine()
    await teller.look()
    for tries, delay in enumerate(DELAYS, start=1):
        house.now += delay - 1
        await teller.look()
        assert len(house.receiver.messages) == tries
        house.now += 1
        await teller.look()
        assert len(house.receiver.messages) == tries + 1
    house.now = LATER - 1
    house.switches = house.switches[:]
    before = [m for m in house.receiver.types if m.endswith("announced")]
    await teller.look()
    assert [m for m in house.receiver.types if m.endswith("announced")] == before
    announced = house.receiver.messages[: len(DELAYS) + 1]
    assert len({headers["webhook-id"] for headers, _ in announced}) == 1
    assert len({headers["webhook-timestamp"] for headers, _ in announced}) == len(announced)


async def test_what_its_sender_left_behind_is_sent_by_another(house: House) -> None:
    house.receiver.slow = 5
    house.switch(TINY, LATER)
    first = asyncio.create_task(house.machine().look())
    await until(lambda: bool(house.receiver.messages))
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    house.receiver.slow = 0
    other = house.machine()
    house.now += LEASE_SECONDS - 1
    await other.look()
    assert len(house.receiver.messages) == 1
    house.now += 1
    await other.look()
    assert len(house.receiver.messages) == 2
    assert len({headers["webhook-id"] for headers, _ in house.receiver.messages}) == 1
    [row] = await house.rows()
    assert row.sent_at == house.now

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from antiphon.moderation.monitor import Seen
from antiphon.moderation.policy import Found
from antiphon.moderation.thresholds import EVERYBODY, ThresholdStore
from antiphon.operations.alerting import DELAYS, LEASE_SECONDS, Alerter
from antiphon.operations.moderating import Moderating
from antiphon.operations.webhook import Webhook, load_secret
from antiphon.storage.database import Database
from antiphon.values import Caller
from receiver import Receiver, receiving
from tenants import World


class House:
    """An organization, whose flags are told to a receiver."""

    def __init__(self, world: World, home: Path, receiver: Receiver, organization_id: str) -> None:
        self.world, self.home, self.receiver, self.id = world, home, receiver, organization_id
        self.moderating = Moderating(world.database, lambda: world.wall)

    def machine(self) -> Alerter:
        webhook = Webhook(f"{self.receiver.address}/hook", load_secret(self.home))
        return Alerter(self.world.database, webhook, lambda: self.world.wall)

    async def raised(self, request_id: str, category: str = "hate") -> str:
        caller = Caller(key_id="key_1", organization_id=self.id, organization="acme")
        found = [Found("input", category, 0.8, "rules")]
        flag = await self.moderating.act(
            Seen(request_id=request_id, caller=caller, snapshot="chat-1", findings=found, at=self.world.wall)
        )
        assert flag is not None
        return flag.id


@pytest.fixture
async def house(tmp_path: Path, database: Database) -> AsyncIterator[House]:
    world = World(database)
    organization = await world.organization()
    await ThresholdStore(database, lambda: 0.0).set(EVERYBODY, "hate", "alert", 0.5, by=None)
    async with receiving() as receiver:
        yield House(world, tmp_path, receiver, organization.id)


async def test_flags_above_a_note_are_told_once_signed_and_without_content(house: House) -> None:
    flag = await house.raised("req_1")
    await house.raised("req_2", "violence")  # a note
    machines = [house.machine(), house.machine()]
    await asyncio.gather(*(one.look() for one in machines))
    for _ in range(3):
        house.world.wall += LEASE_SECONDS
        await machines[0].look()
    [told] = house.receiver.told(house.home)
    assert told["type"] == "flag.raised" and told["data"] == {
        "flag": flag, "organization": house.id, "project": None, "key": "key_1", "request": "req_1",
        "model": "chat-1", "category": "hate", "score": 0.8, "action": "alert", "detail": "",
        "findings": [{"side": "input", "category": "hate", "score": 0.8, "scorer": "rules"}],
    }  # fmt: skip
    assert house.receiver.messages[0][0]["webhook-id"] == flag


async def test_an_appeal_is_told_as_well(house: House) -> None:
    flag = await house.raised("req_1", "violence")  # a note
    await house.moderating.appeal(house.id, flag, "It was a quote.", by=None)
    for _ in range(2):
        await house.machine().look()
    [told] = house.receiver.told(house.home)
    assert (told["type"], told["data"]["flag"]) == ("flag.appealed", flag) and "quote" not in str(told)
    assert house.receiver.messages[0][0]["webhook-id"] == f"{flag}.appeal"


@pytest.mark.parametrize("answer", [200, 500])
async def test_an_appeal_that_comes_while_its_flag_is_told_is_told_next(house: House, answer: int) -> None:
    flag = await house.raised("req_1")
    house.receiver.answers = [answer]
    machine = house.machine()
    post = machine._webhook.post

    async def while_posting(*message: Any) -> str:
        machine._webhook.post = post  # type: ignore[method-assign]
        await house.moderating.appeal(house.id, flag, "It was a quote.", by=None)
        return await post(*message)

    machine._webhook.post = while_posting  # type: ignore[method-assign]
    for _ in range(3):
        await machine.look()
    assert house.receiver.types[-1] == "flag.appealed" and len(house.receiver.messages) == 2


async def test_what_did_not_arrive_is_sent_again_with_the_same_id_and_given_up_in_the_end(
    house: House,
) -> None:
    await house.raised("req_1")
    house.receiver.answers = [500] * 100
    for delay in (0, *DELAYS, 1_000_000):
        house.world.wall += delay
        await house.machine().look()
    assert len(house.receiver.messages) == len(DELAYS) + 1
    assert len({headers["webhook-id"] for headers, _ in house.receiver.messages}) == 1


async def test_it_goes_on_until_it_is_cancelled(house: House) -> None:
    await house.raised("req_1")
    running = asyncio.create_task(house.machine().run())
    async with asyncio.timeout(10):
        while not house.receiver.messages:
            await asyncio.sleep(0.01)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert house.receiver.types == ["flag.raised"]

from __future__ import annotations

from typing import Any

import pytest

from antiphon.errors import NotFound, Suspended
from antiphon.moderation.flags import Flag
from antiphon.moderation.monitor import Seen
from antiphon.moderation.policy import Action, Found
from antiphon.moderation.thresholds import ThresholdStore
from antiphon.operations.moderating import THROTTLE_SECONDS, Moderating
from antiphon.storage.database import Database
from antiphon.values import Caller
from tenants import World

BAD = Found("input", "hate", 0.91, "rules")


class Kept:
    """Content that is there for some requests."""

    async def text(self, organization_id: str, request_id: str) -> str | None:
        return f"{organization_id} said it" if request_id == "req_1" else None


class House:
    """An organization that is watched."""

    def __init__(self, world: World, caller: Caller) -> None:
        self.world, self.caller = world, caller
        self.moderating = Moderating(world.database, lambda: world.wall, Kept())
        self.thresholds = ThresholdStore(world.database, lambda: world.wall)

    @property
    def id(self) -> str:
        return self.caller.organization_id

    async def see(self, request_id: str | None = "req_1", *found: Found, **more: Any) -> Flag | None:
        given: dict[str, Any] = {"caller": self.caller, "snapshot": "chat-1", "at": self.world.wall} | more
        return await self.moderating.act(Seen(request_id=request_id, findings=found or (BAD,), **given))

    async def set(self, action: Action, score: float | None, times: int = 1) -> None:
        await self.thresholds.set(self.id, "hate", action, score, times=times, by=None)


@pytest.fixture
async def house(database: Database) -> House:
    world = World(database)
    return House(world, await world.caller(await world.realm()))


async def test_a_finding_becomes_a_flag_once(house: House) -> None:
    low = Found("output", "violence", 0.3, "classifier")
    raised = await house.see("req_1", low, BAD)
    assert raised is not None
    assert (raised.category, raised.score, raised.action, raised.findings) == (
        "hate",
        0.91,
        "note",
        [BAD, low],
    )
    assert (raised.request_id, raised.key_id, raised.project_id) == (
        "req_1", house.caller.key_id, house.caller.project_id,
    )  # fmt: skip
    assert await house.see("req_1", low, BAD) is None
    assert await house.see("req_2", low) is None
    assert await house.moderating.flags(house.id) == ([raised], False)
    assert await house.see(caller=Caller(key_id="key_1", organization_id="", organization="")) is None


async def test_evidence_is_shown_only_while_it_is_kept_and_to_its_owner_alone(house: House) -> None:
    first, second = await house.see("req_1"), await house.see("req_2")
    assert first is not None and second is not None
    assert await house.moderating.evidence(house.id, first.id) == f"{house.id} said it"
    assert await house.moderating.evidence(house.id, second.id) is None
    with pytest.raises(NotFound):
        await house.moderating.evidence("org-other", first.id)


async def test_a_suspension_by_threshold_is_taken_back_with_its_flag(house: House) -> None:
    realm = await house.world.realm("globex")
    _, secret = await house.world.key(realm)
    house.caller = await house.world.access.authenticator.authenticate(secret)
    await house.set("suspend", 0.9)
    raised = await house.see()
    assert raised is not None and raised.action == "suspend"
    house.world.monotonic += 1
    with pytest.raises(Suspended):
        await house.world.access.authenticator.authenticate(secret)
    standing = await house.moderating.standing(house.id)
    assert (standing.suspension_flag, standing.reason) == (raised.id, "automated monitoring: hate")
    await house.moderating.appeal(house.id, raised.id, "It was a quote.", by=house.caller)
    await house.moderating.resolve(raised.id, "dismissed", "Indeed.", by=None)
    house.world.monotonic += 1
    assert await house.world.access.authenticator.authenticate(secret)
    assert set(await house.world.events(house.id)) >= {
        "organization.suspended", "flag.appealed", "flag.resolved", "organization.resumed",
    }  # fmt: skip


async def test_what_is_upheld_stays(house: House) -> None:
    await house.set("suspend", 0.9)
    raised = await house.see()
    assert raised is not None
    await house.moderating.resolve(raised.id, "upheld", by=None)
    assert (await house.moderating.standing(house.id)).suspended_at is not None


async def test_several_flags_within_a_day_throttle(house: House) -> None:
    await house.set("throttle", 0.5, times=3)
    actions = []
    for at in range(4):
        house.world.wall += 1
        raised = await house.see(f"req_{at}")
        actions.append(raised and raised.action)
    assert actions == ["note", "note", "throttle", "throttle"]
    standing = await house.moderating.standing(house.id)
    assert standing.throttled_until == int(house.world.wall) + THROTTLE_SECONDS
    assert standing.suspended_at is None


async def test_weak_findings_do_not_make_up_the_times_of_a_threshold(house: House) -> None:
    """A category that was hardly found beside another one was not found for the first and second time."""
    await house.set("suspend", 0.9, times=3)
    other, weak = Found("input", "violence", 0.8, "rules"), Found("input", "hate", 0.25, "rules")
    actions = []
    for at, found in enumerate([(other, weak), (other, weak), (BAD,), (BAD,), (BAD,)]):
        house.world.wall += 1
        raised = await house.see(f"req_{at}", *found)
        actions.append(raised and raised.action)
    assert actions == ["note", "note", "note", "note", "suspend"]


async def test_the_operators_own_hand_leaves_a_flag_to_appeal_against(house: House) -> None:
    flag = await house.moderating.suspend(house.id, "unpaid bills", by=None)
    assert await house.moderating.suspend(house.id, "again", by=None) == flag
    [raised], _ = await house.moderating.flags(house.id)
    assert (raised.id, raised.category, raised.detail) == (flag, "manual", "unpaid bills")
    assert await house.moderating.resume(house.id, by=None)
    assert not await house.moderating.resume(house.id, by=None)
    for action in (
        house.moderating.suspend("org-none", "x", by=None),
        house.moderating.resume("org-none", by=None),
    ):
        with pytest.raises(NotFound):
            await action

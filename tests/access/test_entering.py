"""From a proof to a session: only where it opens, only while it is one, and written down."""

from __future__ import annotations

import pytest

from antiphon.access.entering import CHOOSING_SECONDS, Proven
from antiphon.errors import Unauthenticated
from antiphon.values import Caller
from tenants import PASSWORD, World

KIM = "kim@example.com"


async def who(world: World, secret: str) -> Caller:
    return await world.access.authenticator.authenticate(secret)


async def proven(world: World) -> Proven:
    return world.access.entering.proven(await world.access.people.by_password(KIM, PASSWORD), "password")


async def several(world: World, *names: str) -> dict[str, str]:
    """Memberships of one person, who has the same password in each: by the names of the organizations."""
    found = {}
    for name in names:
        world.wall += 1
        found[name] = await world.joined((await world.organization(name)).id, KIM)
    return found


async def test_each_membership_that_was_proven_can_be_entered_and_that_is_on_record(world: World) -> None:
    entering, mine = world.access.entering, await several(world, "zeta", "acme")
    proof = await proven(world)
    assert [one.organization for one in await entering.choices(proof)] == ["acme", "zeta"]
    first = await who(world, await entering.enter(proof, mine["acme"]))
    secret = await entering.enter(proof, mine["zeta"], leaving=first)
    second = await who(world, secret)
    assert (first.organization, second.organization) == ("acme", "zeta")
    assert (await world.events(first.organization_id))[-2:] == ["login.succeeded", "logout.succeeded"]
    assert (await world.events(second.organization_id))[-1] == "login.succeeded"
    [newest] = (await world.access.audit.list(second.organization_id, limit=1)).data
    assert newest.payload == {"id": mine["zeta"], "by": "password"}


async def test_the_session_that_is_left_is_refused(world: World) -> None:
    entering, mine = world.access.entering, await several(world, "acme", "other")
    proof = await proven(world)
    left = await entering.enter(proof, mine["acme"])
    await entering.enter(proof, mine["other"], leaving=await who(world, left))
    world.monotonic += 1
    with pytest.raises(Unauthenticated):
        await who(world, left)


async def test_nothing_else_can_be_entered(world: World) -> None:
    entering, people = world.access.entering, world.access.people
    mine = await several(world, "acme", "other", "third")
    stranger = await world.joined((await world.organization("theirs")).id, "eve@example.com")
    proof = await proven(world)
    world.wall += 1
    other = next(one for one in await people.list() if one.member_id == mine["other"])
    await people.redeem(await people.link(other.organization_id, other.member_id, by=None), "a new password")
    third = next(one for one in await people.list() if one.member_id == mine["third"])
    await world.access.members.remove(third.organization_id, third.member_id, by=None)
    assert [one.member_id for one in await entering.choices(proof)] == [mine["acme"]]
    for member_id in (mine["other"], mine["third"], stranger, ""):
        with pytest.raises(Unauthenticated):
            await entering.enter(proof, member_id)


async def test_a_new_password_keeps_what_the_proof_still_opens_and_no_more(world: World) -> None:
    entering, people = world.access.entering, world.access.people
    mine = await several(world, "acme", "other", "third")
    proof = await proven(world)
    caller = await who(world, await entering.enter(proof, mine["acme"]))
    world.wall += 1
    other = next(one for one in await people.list() if one.member_id == mine["other"])
    await people.redeem(await people.link(other.organization_id, other.member_id, by=None), "a new password")
    await people.change_password(caller, PASSWORD, "another password")
    assert [one.organization for one in await entering.choices(proof)] == ["third"]
    renewed = await entering.renewed(proof, mine["acme"])
    assert [one.organization for one in await entering.choices(renewed)] == ["acme", "third"]
    assert await entering.enter(renewed, mine["acme"])
    with pytest.raises(Unauthenticated):
        await entering.enter(renewed, mine["other"])


async def test_a_proof_belongs_to_one_session_or_lasts_for_minutes(world: World) -> None:
    entering = world.access.entering
    await several(world, "acme", "other")
    proof = await proven(world)
    pending, bound = entering.sealed(proof), entering.sealed(proof, "sk-one")
    assert entering.unsealed(pending) == entering.unsealed(bound, "sk-one") == proof
    assert entering.unsealed(bound) is entering.unsealed(pending, "sk-one") is None
    assert entering.unsealed(bound, "sk-two") is None
    spoilt = [
        pending[:40] + ("A" if pending[40] != "A" else "B") + pending[41:],
        "",
        "é",
        "A" * 80,
        pending[1:],
    ]
    assert [entering.unsealed(one) for one in spoilt] == [None] * len(spoilt)
    world.wall += CHOOSING_SECONDS
    assert entering.unsealed(pending) is None and entering.unsealed(bound, "sk-one") == proof

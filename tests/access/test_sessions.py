"""Sessions: what they may do, and when they end."""

from __future__ import annotations

import pytest
from sqlalchemy import insert

from antiphon.access.api_key import NewKey, Realm
from antiphon.access.permissions import allows
from antiphon.errors import NotFound, Suspended, Unauthenticated
from antiphon.storage.tables import organization_standing
from antiphon.values import Caller
from tenants import World


async def who(world: World, secret: str) -> Caller:
    return await world.access.authenticator.authenticate(secret)


async def test_a_session_ends_with_its_time_or_when_one_signs_out(world: World) -> None:
    sessions, organization = world.access.sessions, await world.organization()
    kim = await world.joined(organization.id, "kim@example.com")
    first, second = await world.opened(kim), await world.opened(kim)
    await sessions.end(await who(world, first))
    world.monotonic += 1
    with pytest.raises(Unauthenticated):
        await who(world, first)
    await who(world, second)
    world.wall += sessions.seconds
    with pytest.raises(Unauthenticated):
        await who(world, second)


async def test_it_may_do_what_its_member_may_now(world: World) -> None:
    organization = await world.organization()
    await world.joined(organization.id, "owner@example.com", "owner")
    kim = await world.joined(organization.id, "kim@example.com", "reader")
    secret = await world.opened(kim)
    reader = await who(world, secret)
    assert [allows(reader, needs) for needs in ("org.read", "chat", "org.write")] == [True, False, False]
    await world.access.members.change_role(organization.id, kim, "owner", by=None)
    world.monotonic += 1
    owner = await who(world, secret)
    assert [allows(owner, needs) for needs in ("org.write", "chat", "operator")] == [True, True, False]
    await world.access.people.set_operator(kim, True)
    world.monotonic += 1
    assert allows(await who(world, secret), "operator")


async def test_sessions_are_no_keys_of_any_list_and_may_make_keys_that_stay(world: World) -> None:
    organization = await world.organization()
    project = await world.project(organization)
    kim = await world.joined(organization.id, "kim@example.com")
    caller = await who(world, await world.opened(kim))
    assert (await world.access.keys.list(None)).data == []
    realm = Realm(organization.id, project.id)
    key, _ = await world.access.keys.create(NewKey(realm=realm, name="bot"), by=caller)
    assert key.expires_at is None


async def test_it_works_on_a_project_of_its_organization(world: World) -> None:
    organization, other = await world.organization(), await world.organization("other")
    project, theirs = await world.project(organization), await world.project(other, "theirs")
    kim = await world.joined(organization.id, "kim@example.com")
    caller = await who(world, await world.opened(kim))
    within = world.access.authenticator.within_project
    for name in ("", project.id, "shop"):
        assert (await within(caller, name)).project_id == project.id
    for name in (theirs.id, "theirs", "none", "\n"):
        with pytest.raises(NotFound):
            await within(caller, name)
    row = {"organization_id": organization.id, "suspended_at": 1, "reason": "x", "throttle_divisor": 1}
    async with world.database.begin() as connection:
        await connection.execute(insert(organization_standing).values(row))
    with pytest.raises(Suspended):
        await within(caller, "")


async def test_the_proof_is_of_one_session(world: World) -> None:
    proof = world.access.sessions.proof
    assert proof("a") == proof("a") != proof("b") and len(proof("a")) == 32

"""People who sign in: links, passwords, operators, over SQLite and PostgreSQL."""

from __future__ import annotations

import pytest

from antiphon.access.people import TRIES, TRY_SECONDS
from antiphon.errors import Forbidden, InvalidRequest, NotFound, RateLimited, Unauthenticated
from antiphon.values import Caller
from tenants import PASSWORD, World


async def who(world: World, secret: str) -> Caller:
    return await world.access.authenticator.authenticate(secret)


async def test_a_first_owner_is_an_operator_and_a_link_works_once(world: World) -> None:
    people, organization = world.access.people, await world.organization()
    assert not await people.anybody()
    token = await people.link(organization.id, None, by=None)
    secret = await people.redeem(token, PASSWORD, email="Ada@example.com", name="Ada")
    caller = await who(world, secret)
    assert (caller.kind, caller.role, caller.operator, caller.organization) == (
        "session",
        "owner",
        True,
        "acme",
    )
    assert await people.anybody()
    [ada] = await people.list()
    assert (ada.email, ada.signs_in, ada.operator) == ("ada@example.com", True, True)
    for again in (token, "never made"):
        with pytest.raises(Unauthenticated):
            await people.redeem(again, PASSWORD, email="eve@example.com", name="Eve")


async def test_a_link_ends_with_its_time_and_with_the_next_one(world: World) -> None:
    people, organization = world.access.people, await world.organization()
    member = await world.access.members.add(organization.id, "kim@example.com", "Kim", "reader", by=None)
    first = await people.link(organization.id, member.id, by=None)
    second = await people.link(organization.id, member.id, by=None)
    with pytest.raises(Unauthenticated):
        await people.opened(first)
    assert (await people.opened(second)).email == "kim@example.com"
    world.wall += 900
    with pytest.raises(Unauthenticated):
        await people.opened(second)
    with pytest.raises(NotFound):
        await people.link((await world.organization("other")).id, member.id, by=None)


async def test_no_owner_gets_into_another_organization_by_an_address(world: World) -> None:
    people, mine, other = world.access.people, await world.organization(), await world.organization("other")
    await world.joined(mine.id, "kim@example.com", "owner")
    theirs = await world.access.members.add(other.id, "kim@example.com", "Kim", "reader", by=None)
    token = await people.link(other.id, theirs.id, by=None)
    caller = await who(world, await people.redeem(token, "a password of theirs"))
    assert (caller.organization, caller.role) == ("other", "reader")
    for password, organization in ((PASSWORD, "acme"), ("a password of theirs", "other")):
        found = await people.by_password("kim@example.com", password)
        assert [one.organization for one in found] == [organization]
        assert (
            await who(world, await world.signed_in("kim@example.com", password))
        ).organization == organization


async def test_one_password_may_be_that_of_several_memberships(world: World) -> None:
    people = world.access.people
    for name in ("acme", "other", "third"):
        world.wall += 1
        await world.joined((await world.organization(name)).id, "kim@example.com")
    third = (await people.by_password("kim@example.com", PASSWORD))[2]
    token = await people.link(third.organization_id, third.member_id, by=None)
    await people.redeem(token, "another password")
    found = await people.by_password(" Kim@example.com", PASSWORD)
    assert [one.organization for one in found] == ["acme", "other"]


async def test_guessing_ends_soon(world: World) -> None:
    people, organization = world.access.people, await world.organization()
    await world.joined(organization.id, "kim@example.com")
    for _ in range(TRIES):
        with pytest.raises(Unauthenticated):
            await people.by_password("kim@example.com", "wrong password")
    with pytest.raises(RateLimited):
        await people.by_password("kim@example.com", PASSWORD)
    world.wall += TRY_SECONDS
    await people.by_password("kim@example.com", PASSWORD)


async def test_only_an_operator_makes_links_for_operators(world: World) -> None:
    people, organization = world.access.people, await world.organization()
    chief = await world.joined(organization.id, "chief@example.com", "owner")
    await people.set_operator(chief, True)
    await world.joined(organization.id, "owner@example.com", "owner")
    owner = await who(world, await world.signed_in("owner@example.com"))
    with pytest.raises(Forbidden):
        await people.link(organization.id, chief, by=owner)
    operator = await who(world, await world.signed_in("chief@example.com"))
    assert await people.link(organization.id, chief, by=operator)
    with pytest.raises(NotFound):
        await people.set_operator("user-nobody", True)


async def test_a_removed_member_is_out_at_once_and_cannot_come_back(world: World) -> None:
    people, organization = world.access.people, await world.organization()
    await world.joined(organization.id, "owner@example.com", "owner")
    kim = await world.joined(organization.id, "kim@example.com")
    secret = await world.signed_in("kim@example.com")
    await world.access.members.remove(organization.id, kim, by=None)
    world.monotonic += 1
    with pytest.raises(Unauthenticated):
        await who(world, secret)
    with pytest.raises(Unauthenticated):
        await people.by_password("kim@example.com", PASSWORD)


async def test_an_address_that_others_vouch_for_must_be_a_members(world: World) -> None:
    people, organization = world.access.people, await world.organization()
    await world.joined(organization.id, "kim@example.com")
    assert [one.organization for one in await people.by_address("Kim@Example.com")] == ["acme"]
    with pytest.raises(Unauthenticated, match="Ask an owner"):
        await people.by_address("eve@example.com")


async def test_a_first_owners_link_takes_over_nobody(world: World) -> None:
    people, organization = world.access.people, await world.organization()
    await world.joined(organization.id, "kim@example.com", "owner")
    token = await people.link(organization.id, None, by=None)
    with pytest.raises(InvalidRequest, match="already"):
        await people.redeem(token, "my own password", email="kim@example.com", name="Eve")

from __future__ import annotations

import asyncio

import pytest

from antiphon.access.api_key import Realm
from antiphon.access.members import Member
from antiphon.errors import InvalidRequest, NotFound
from antiphon.values import Role
from tenants import START, World


async def add(world: World, organization_id: str, name: str, role: Role = "member") -> Member:
    return await world.access.members.add(organization_id, f"{name}@example.com", name.title(), role, by=None)


async def test_a_member_is_added_and_found_by_id_and_by_address(world: World) -> None:
    acme = await world.organization()
    members = world.access.members
    ann = await members.add(acme.id, "Ann@Example.com", "Ann", "owner", by=None)
    assert ann.id.startswith("user-") and (ann.email, ann.added_at) == ("ann@example.com", START)
    assert ann == await members.get(acme.id, ann.id) == await members.find(acme.id, "ANN@example.com")
    assert await members.find(acme.id, ann.id) == ann


async def test_foreign_missing_and_removed_members_are_the_same_404(world: World) -> None:
    ours, theirs = await world.organization("acme"), await world.organization("other")
    foreign, gone = await add(world, theirs.id, "bob"), await add(world, ours.id, "ann")
    members = world.access.members
    await members.remove(ours.id, gone.id, by=None)
    messages = set()
    for member_id in (foreign.id, gone.id, "user-missing"):
        for attempt in (
            members.get(ours.id, member_id),
            members.find(ours.id, member_id),
            members.change_role(ours.id, member_id, "reader", by=None),
            members.remove(ours.id, member_id, by=None),
        ):
            with pytest.raises(NotFound) as caught:
                await attempt
            messages.add(caught.value.message)
    assert messages == {"There is no such user."}


@pytest.mark.parametrize(
    "email", ["", "ann", "@example.com", "ann@", "a b@c", "é@c", "a\0@c", "x" * 251 + "@c.d"]
)
async def test_what_is_no_address_is_refused(world: World, email: str) -> None:
    acme = await world.organization()
    with pytest.raises(InvalidRequest) as caught:
        await world.access.members.add(acme.id, email, "Ann", "member", by=None)
    assert caught.value.param == "email"


async def test_nobody_is_added_twice_but_somebody_may_come_back(world: World) -> None:
    acme = await world.organization()
    ann = await add(world, acme.id, "ann", "reader")
    with pytest.raises(InvalidRequest, match="already"):
        await add(world, acme.id, "ann")
    key, _ = await world.key(Realm(acme.id), member_id=ann.id)
    await world.access.members.remove(acme.id, ann.id, by=None)
    world.wall += 5
    again = await add(world, acme.id, "ann", "member")
    assert (again.id, again.role, again.added_at) == (ann.id, "member", START + 5)
    with pytest.raises(NotFound):  # the keys of before stay revoked
        await world.access.keys.get(Realm(acme.id), key.id)


async def test_the_last_owner_stays_one(world: World) -> None:
    acme = await world.organization()
    members = world.access.members
    ann, bob = await add(world, acme.id, "ann", "owner"), await add(world, acme.id, "bob", "owner")
    other = await world.organization("other")
    await add(world, other.id, "eve", "owner")
    await members.remove(acme.id, bob.id, by=None)
    for attempt in (
        members.remove(acme.id, ann.id, by=None),
        members.change_role(acme.id, ann.id, "member", by=None),
    ):
        with pytest.raises(InvalidRequest, match="last owner"):
            await attempt
    assert (await members.change_role(acme.id, ann.id, "owner", by=None)).role == "owner"


async def test_two_owners_who_leave_at_once_do_not_both_leave(world: World) -> None:
    acme = await world.organization()
    owners = [await add(world, acme.id, name, "owner") for name in ("ann", "bob", "cat", "dan")]
    left = await asyncio.gather(
        *(world.access.members.remove(acme.id, owner.id, by=None) for owner in owners),
        return_exceptions=True,
    )
    assert left.count(None) == 3
    assert [isinstance(problem, InvalidRequest) for problem in left if problem is not None] == [True]


async def test_a_removed_member_s_keys_are_revoked_and_nobody_else_s(world: World) -> None:
    realm = await world.realm()
    assert realm.organization_id is not None
    admin = Realm(realm.organization_id)
    ann, bob = await add(world, realm.organization_id, "ann"), await add(world, realm.organization_id, "bob")
    hers = [(await world.key(place, member_id=ann.id))[0].id for place in (realm, admin)]
    his = [(await world.key(place, member_id=bob.id))[0].id for place in (realm, admin)]
    world.wall += 1
    await world.access.members.remove(realm.organization_id, ann.id, by=None)
    listed = (await world.access.keys.list(None, revoked=True)).data
    assert {key.id for key in listed if key.state(world.wall) == "revoked"} == set(hers)
    assert {key.id for key in listed if key.state(world.wall) == "active"} == set(his)
    logged = (await world.access.audit.list(realm.organization_id, limit=3)).data
    assert sorted(event.type for event in logged) == ["api_key.deleted", "api_key.deleted", "user.deleted"]


async def test_they_are_listed_in_pages_and_by_address(world: World) -> None:
    acme = await world.organization()
    made = []
    for name in ("ann", "bob", "cat"):
        world.wall += 1
        made.append(await add(world, acme.id, name))
    members = world.access.members
    first = await members.list(acme.id, limit=2)
    rest = await members.list(acme.id, limit=2, after=first.data[-1].id)
    assert first.data + rest.data == made and (first.has_more, rest.has_more) == (True, False)
    wanted = await members.list(acme.id, emails=["BOB@example.com", "nobody@example.com", "a\0"])
    assert wanted.data == [made[1]]
    await members.remove(acme.id, made[0].id, by=None)
    assert (await members.list(acme.id)).data == made[1:]


async def test_changes_are_logged(world: World) -> None:
    acme = await world.organization()
    by = await world.caller(Realm(acme.id))
    world.wall += 1
    ann = await world.access.members.add(acme.id, "ann@example.com", "Ann", "member", by=by)
    world.wall += 1
    changed = await world.access.members.change_role(acme.id, ann.id, "reader", by=by)
    assert changed.role == "reader"
    world.wall += 1
    await world.access.members.remove(acme.id, ann.id, by=by)
    logged = (await world.access.audit.list(acme.id)).data[:3]
    assert [event.type for event in logged] == ["user.deleted", "user.updated", "user.added"]
    assert {(event.payload["id"], event.actor_key_id) for event in logged} == {(ann.id, by.key_id)}

"""Members through the API, which calls them users."""

from __future__ import annotations

from admin_service import ORGANIZATION, House
from antiphon.access.members import Member

USERS = f"{ORGANIZATION}/users"


async def add(house: House, email: str, role: str = "member") -> Member:
    members = house.world.access.members
    house.world.wall += 1
    return await members.add(house.organization.id, email, "Ann", role, by=None)  # type: ignore[arg-type]


async def test_a_user_is_shown_changed_and_removed(house: House) -> None:
    member = await add(house, "a@b.c")
    path = f"{USERS}/{member.id}"
    shown = await house.get(path)
    assert shown == {
        "id": member.id,
        "object": "organization.user",
        "email": "a@b.c",
        "name": "Ann",
        "role": "member",
        "added_at": member.added_at,
        "created": member.added_at,
        "is_service_account": False,
        "user": {"id": member.id, "object": "user", "email": "a@b.c", "name": "Ann", "enabled": True},
    }
    assert await house.post(path, {"role": "reader"}) == shown | {"role": "reader"}
    assert await house.refused("POST", path, {"role": "king"}) == (400, "invalid_value", "role")
    extra = {"role": "reader", "email": "x@y.z"}
    assert await house.refused("POST", path, extra) == (400, "unknown_parameter", "email")
    status, answer = await house.call("DELETE", path)
    deleted = {"id": member.id, "object": "organization.user.deleted", "deleted": True}
    assert (status, answer) == (200, deleted)
    assert (await house.refused("GET", path))[0] == 404


async def test_the_last_owner_stays(house: House) -> None:
    owner = await add(house, "a@b.c", "owner")
    assert (await house.refused("POST", f"{USERS}/{owner.id}", {"role": "reader"}))[0] == 400
    assert (await house.refused("DELETE", f"{USERS}/{owner.id}"))[0] == 400


async def test_users_come_in_pages_or_by_address(house: House) -> None:
    for name in "abc":
        await add(house, f"{name}@b.c")
    first = await house.get(f"{USERS}?limit=2")
    assert ([user["email"] for user in first["data"]], first["has_more"]) == (["a@b.c", "b@b.c"], True)
    rest = await house.get(f"{USERS}?after={first['last_id']}")
    assert [user["email"] for user in rest["data"]] == ["c@b.c"]
    some = await house.get(f"{USERS}?emails[]=C@b.c&emails[]=a@b.c&emails[]=none@b.c")
    assert [user["email"] for user in some["data"]] == ["a@b.c", "c@b.c"]

"""Admin keys through the API."""

from __future__ import annotations

from admin_service import ORGANIZATION, House
from antiphon.access.api_key import Realm

KEYS = f"{ORGANIZATION}/admin_api_keys"


async def test_an_admin_key_is_made_shown_and_revoked(house: House) -> None:
    made = await house.post(KEYS, {"name": "audit", "role": "reader", "expires_in_seconds": 60})
    secret = made.pop("value")
    now = int(house.world.wall)
    assert made == {
        "id": made["id"],
        "object": "organization.admin_api_key",
        "name": "audit",
        "redacted_value": f"{secret[:8]}****{secret[-4:]}",
        "created_at": now,
        "expires_at": now + 60,
        "last_used_at": None,
        "owner": dict.fromkeys(("type", "object", "id", "name", "role", "created_at")),
        "role": "reader",
    }
    path = f"{KEYS}/{made['id']}"
    assert await house.get(path, key=secret) == made
    assert (await house.refused("DELETE", path, key=secret))[:2] == (403, "insufficient_permissions")
    status, answer = await house.call("DELETE", path)
    deleted = {"id": made["id"], "object": "organization.admin_api_key.deleted", "deleted": True}
    assert (status, answer) == (200, deleted)
    assert (await house.refused("GET", path))[0] == 404
    house.world.monotonic += 1
    assert (await house.refused("GET", KEYS, key=secret))[0] == 401


async def test_a_new_key_belongs_to_who_made_it(house: House) -> None:
    member = await house.world.access.members.add(house.organization.id, "a@b.c", "Ann", "owner", by=None)
    _, secret = await house.world.key(Realm(house.organization.id), member_id=member.id)
    made = await house.post(KEYS, {"name": "second"}, key=secret)
    assert made["owner"] == {
        "type": "user",
        "object": "organization.user",
        "id": member.id,
        "name": "Ann",
        "role": "owner",
        "created_at": member.added_at,
    }


async def test_admin_keys_come_in_pages_either_way(house: House) -> None:
    for name in ("a", "b"):
        await house.post(KEYS, {"name": name})
    first = await house.get(f"{KEYS}?limit=2")
    assert ([key["name"] for key in first["data"]], first["has_more"]) == (["owner", "a"], True)
    rest = await house.get(f"{KEYS}?after={first['last_id']}")
    assert [key["name"] for key in rest["data"]] == ["b"]
    newest = await house.get(f"{KEYS}?order=desc")
    assert [key["name"] for key in newest["data"]] == ["b", "a", "owner"]
    assert (await house.refused("GET", f"{KEYS}?order=up")) == (400, "invalid_value", "order")


async def test_an_admin_key_is_rotated(house: House) -> None:
    made = await house.post(KEYS, {"name": "a"})
    rotated = await house.post(f"{KEYS}/{made['id']}/rotate", {"rotation_id": "r", "grace_seconds": 60})
    assert rotated["id"] == made["id"]
    assert await house.post(f"{KEYS}/{made['id']}/rotate", {"rotation_id": "r"}) == rotated
    for secret in (made["value"], rotated["value"]):
        await house.get(KEYS, key=secret)
    house.world.wall += 61
    assert (await house.refused("GET", KEYS, key=made["value"]))[0] == 401
    await house.get(KEYS, key=rotated["value"])


async def test_a_project_key_is_no_admin_key(house: House) -> None:
    key, secret = await house.world.key(house.realm)
    assert (await house.refused("GET", f"{KEYS}/{key.id}"))[0] == 404
    assert (await house.refused("GET", KEYS, key=secret))[:2] == (403, "insufficient_permissions")

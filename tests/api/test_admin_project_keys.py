"""Keys of a project through the API: shown, changed, rotated, revoked."""

from __future__ import annotations

import pytest

from admin_service import ORGANIZATION, House


async def test_a_key_is_shown_without_its_value(house: House) -> None:
    key, secret = await house.world.key(house.realm, "checkout", scopes=["chat"], expires_in_seconds=60)
    shown = await house.get(f"{house.at_project}/api_keys/{key.id}")
    assert shown == {
        "id": key.id,
        "object": "organization.project.api_key",
        "name": "checkout",
        "redacted_value": f"{secret[:8]}****{secret[-4:]}",
        "created_at": key.created_at,
        "expires_at": key.created_at + 60,
        "last_used_at": None,
        "owner": {"type": None, "user": None, "service_account": None},
        "owner_project_access": "active",
        "scopes": ["chat"],
    }
    assert (await house.get(f"{house.at_project}/api_keys"))["data"] == [shown]


async def test_a_key_shows_whose_it_is(house: House) -> None:
    member = await house.world.access.members.add(house.organization.id, "a@b.c", "Ann", "member", by=None)
    key, _ = await house.world.key(house.realm, member_id=member.id)
    owner = (await house.get(f"{house.at_project}/api_keys/{key.id}"))["owner"]
    assert (owner["type"], owner["service_account"]) == ("user", None)
    assert owner["user"] == {
        "id": member.id,
        "name": "Ann",
        "email": "a@b.c",
        "role": "member",
        "created_at": member.added_at,
    }
    made = await house.post(f"{house.at_project}/service_accounts", {"name": "robot"})
    owner = (await house.get(f"{house.at_project}/api_keys/{made['api_key']['id']}"))["owner"]
    assert (owner["type"], owner["user"]) == ("service_account", None)
    assert owner["service_account"] == {name: made[name] for name in ("id", "name", "role", "created_at")}


async def test_keys_come_in_pages_and_those_of_an_archived_project_open_nothing(house: House) -> None:
    for _ in range(3):
        house.world.wall += 1
        await house.world.key(house.realm)
    path = f"{house.at_project}/api_keys"
    first = await house.get(f"{path}?limit=2&owner_project_access=active")
    rest = await house.get(f"{path}?limit=2&after={first['last_id']}")
    assert (len(first["data"]), first["has_more"]) == (2, True)
    assert (len(rest["data"]), rest["has_more"]) == (1, False)
    assert (await house.get(f"{path}?owner_project_access=inactive"))["data"] == []
    await house.post(f"{house.at_project}/archive")
    assert (await house.get(f"{path}?owner_project_access=active"))["data"] == []
    inactive = (await house.get(f"{path}?owner_project_access=inactive"))["data"]
    assert [key["owner_project_access"] for key in inactive] == ["inactive"] * 3


async def test_a_key_is_changed(house: House) -> None:
    key, _ = await house.world.key(house.realm)
    path = f"{house.at_project}/api_keys/{key.id}"
    changed = await house.post(path, {"scopes": ["models"], "expires_in_seconds": 60})
    assert (changed["name"], changed["scopes"]) == ("a", ["models"])
    assert changed["expires_at"] == int(house.world.wall) + 60
    again = await house.post(path, {"name": "b", "scopes": []})
    assert again == changed | {"name": "b", "scopes": ["audio", "chat", "models"]}
    assert await house.refused("POST", path, {"scopes": ["all"]}) == (400, None, "scopes")
    assert await house.refused("POST", path, {"id": "key_1"}) == (400, "unknown_parameter", "id")


async def test_a_revoked_key_is_gone(house: House) -> None:
    key, _ = await house.world.key(house.realm)
    path = f"{house.at_project}/api_keys/{key.id}"
    status, answer = await house.call("DELETE", path)
    assert (status, answer) == (
        200,
        {"id": key.id, "object": "organization.project.api_key.deleted", "deleted": True},
    )
    for method in ("GET", "DELETE"):
        assert (await house.refused(method, path))[0] == 404


async def test_a_rotation_that_is_repeated_makes_nothing_new(house: House) -> None:
    key, old = await house.world.key(house.realm)
    path = f"{house.at_project}/api_keys/{key.id}/rotate"
    rotated = await house.post(path, {"rotation_id": "1", "grace_seconds": 60})
    assert rotated["id"] == key.id and rotated["value"] not in (old, None)
    assert await house.post(path, {"rotation_id": "1"}) == rotated
    assert await house.post(path, idempotency_key="1") == rotated
    assert await house.post(path, {"rotation_id": "1"}, idempotency_key="1") == rotated
    authenticate = house.world.access.authenticator.authenticate
    assert (await authenticate(old)).key_id == (await authenticate(rotated["value"])).key_id == key.id
    assert (await house.post(path))["value"] != (await house.post(path))["value"]


@pytest.mark.parametrize(
    "body, headers, wrong",
    [
        ({"grace_seconds": -1}, {}, (400, "invalid_value", "grace_seconds")),
        ({"rotation_id": ""}, {}, (400, "invalid_value", "rotation_id")),
        ({"token": "1"}, {}, (400, "unknown_parameter", "token")),
        (
            {"rotation_id": "1"},
            {"idempotency_key": "2"},
            (400, "invalid_parameter_combination", "rotation_id"),
        ),
    ],
)
async def test_a_rotation_that_is_wrongly_asked_for(
    house: House, body: dict[str, object], headers: dict[str, str], wrong: tuple[int, str, str]
) -> None:
    key, _ = await house.world.key(house.realm)
    path = f"{house.at_project}/api_keys/{key.id}/rotate"
    assert await house.refused("POST", path, body, **headers) == wrong


async def test_a_project_that_is_not_there_has_no_keys(house: House) -> None:
    for path in ("", "/key_1"):
        assert (await house.refused("GET", f"{ORGANIZATION}/projects/proj_none/api_keys{path}"))[0] == 404

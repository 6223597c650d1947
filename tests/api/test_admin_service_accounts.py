"""Service accounts and their keys through the API."""

from __future__ import annotations

from admin_service import House


async def test_an_account_is_made_with_a_key_that_works(house: House) -> None:
    path = f"{house.at_project}/service_accounts"
    made = await house.post(path, {"name": "robot", "expires_in_seconds": 60})
    key = made["api_key"]
    now = int(house.world.wall)
    assert made == {
        "id": made["id"],
        "object": "organization.project.service_account",
        "name": "robot",
        "role": "member",
        "created_at": now,
        "api_key": key,
    }
    assert key == {
        "id": key["id"],
        "object": "organization.project.service_account.api_key",
        "name": "robot",
        "value": key["value"],
        "created_at": now,
        "expires_at": now + 60,
    }
    caller = await house.world.access.authenticator.authenticate(key["value"])
    assert (caller.key_id, caller.project_id) == (key["id"], house.project.id)


async def test_an_account_is_shown_changed_and_deleted(house: House) -> None:
    path = f"{house.at_project}/service_accounts"
    made = await house.post(path, {"name": "robot", "create_service_account_only": True})
    assert made.pop("api_key") is None
    one = f"{path}/{made['id']}"
    assert await house.get(one) == made
    assert await house.post(one, {"role": "owner"}) == made | {"role": "owner"}
    assert await house.post(one, {"name": "arm"}) == made | {"role": "owner", "name": "arm"}
    assert await house.refused("POST", one, {"role": "none"}) == (400, "invalid_value", "role")
    status, answer = await house.call("DELETE", one)
    assert (status, answer) == (
        200,
        {"id": made["id"], "object": "organization.project.service_account.deleted", "deleted": True},
    )
    assert (await house.refused("GET", one))[0] == 404


async def test_accounts_come_in_pages(house: House) -> None:
    path = f"{house.at_project}/service_accounts"
    for name in "abc":
        await house.post(path, {"name": name})
    first = await house.get(f"{path}?limit=2")
    assert ([account["name"] for account in first["data"]], first["has_more"]) == (["a", "b"], True)
    rest = await house.get(f"{path}?after={first['last_id']}")
    assert ([account["name"] for account in rest["data"]], rest["has_more"]) == (["c"], False)


async def test_an_account_gets_more_keys(house: House) -> None:
    path = f"{house.at_project}/service_accounts"
    made = await house.post(path, {"name": "robot"})
    keys = f"{path}/{made['id']}/api_keys"
    plain = await house.post(keys, {})
    assert (plain["name"], plain["expires_at"]) == ("robot", None)
    narrow = await house.post(keys, {"name": "ears", "scopes": ["audio"], "expires_in_seconds": 60})
    caller = await house.world.access.authenticator.authenticate(narrow["value"])
    assert (narrow["name"], caller.scopes) == ("ears", {"audio"})
    assert await house.refused("POST", keys, {"scopes": ["api.all"]}) == (400, None, "scopes")
    assert (await house.refused("POST", f"{path}/svc_acct_none/api_keys", {}))[0] == 404
    await house.call("DELETE", f"{path}/{made['id']}")
    house.world.monotonic += 1
    for secret in (plain["value"], narrow["value"], made["api_key"]["value"]):
        assert (await house.refused("GET", "/v1/models", key=secret))[0] == 401

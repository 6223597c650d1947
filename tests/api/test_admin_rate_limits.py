"""Rate limits of a project through the API."""

from __future__ import annotations

import pytest

from admin_service import ORGANIZATION, House
from antiphon.settings import Settings
from service import CHAT, SPEECH


async def test_every_snapshot_has_the_installations_limits_until_it_is_given_others(house: House) -> None:
    path = f"{house.at_project}/rate_limits"
    listed = await house.get(path)
    first = listed["data"][0]
    assert first == {
        "id": f"rl-{CHAT}",
        "object": "project.rate_limit",
        "model": CHAT,
        "max_requests_per_1_minute": Settings().requests_per_minute,
        "max_tokens_per_1_minute": 0,
        "max_audio_megabytes_per_1_minute": 0,
        "max_audio_seconds_per_1_minute": 0,
        "max_requests_per_1_day": 0,
        "max_tokens_per_1_day": 0,
        "max_concurrent_requests": 0,
    }
    assert [limit["model"] for limit in listed["data"]] == [CHAT, SPEECH]
    changes = {"max_requests_per_1_minute": 7, "max_tokens_per_1_day": 9, "max_concurrent_requests": 2}
    changed = await house.post(f"{path}/rl-{CHAT}", changes)
    assert changed == first | changes
    assert (await house.get(path))["data"][0] == changed
    again = await house.post(f"{path}/rl-{CHAT}", {"max_requests_per_1_minute": None})
    assert again == changed | {"max_requests_per_1_minute": first["max_requests_per_1_minute"]}
    assert await house.post(f"{path}/rl-{CHAT}", {}) == again
    assert (await house.world.events(house.organization.id))[-2:] == ["rate_limit.updated"] * 2


async def test_limits_come_in_pages_both_ways(house: House) -> None:
    path = f"{house.at_project}/rate_limits"
    first = await house.get(f"{path}?limit=1")
    assert (first["last_id"], first["has_more"]) == (f"rl-{CHAT}", True)
    rest = await house.get(f"{path}?limit=1&after={first['last_id']}")
    assert (rest["last_id"], rest["has_more"]) == (f"rl-{SPEECH}", False)
    back = await house.get(f"{path}?before={rest['first_id']}")
    assert (back["last_id"], back["has_more"]) == (f"rl-{CHAT}", False)
    assert (await house.get(f"{path}?after=rl-{CHAT}&before=rl-{SPEECH}"))["data"] == []
    for cursor in ("after", "before"):
        assert await house.refused("GET", f"{path}?{cursor}=rl-none") == (400, None, cursor)


@pytest.mark.parametrize("name", [f"rl-{CHAT}x", CHAT, "rl-", "rl-none"])
async def test_there_are_limits_for_what_is_served_alone(house: House, name: str) -> None:
    assert (await house.refused("POST", f"{house.at_project}/rate_limits/{name}", {}))[0] == 404


async def test_what_cannot_be_a_limit(house: House) -> None:
    path = f"{house.at_project}/rate_limits/rl-{CHAT}"
    for body, wrong in (
        ({"max_requests_per_1_minute": -1}, (400, "invalid_value", "max_requests_per_1_minute")),
        ({"max_tokens_per_1_minute": 0.5}, (400, "invalid_type", "max_tokens_per_1_minute")),
        ({"batch_1_day_max_input_tokens": 5}, (400, "unknown_parameter", "batch_1_day_max_input_tokens")),
    ):
        assert await house.refused("POST", path, body) == wrong
    none = f"{ORGANIZATION}/projects/proj_none/rate_limits"
    assert (await house.refused("GET", none))[0] == (await house.refused("POST", f"{none}/x", {}))[0] == 404

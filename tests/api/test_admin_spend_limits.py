"""Budgets of an organization and of a project through the API."""

from __future__ import annotations

import pytest

from admin_service import ORGANIZATION, House


@pytest.mark.parametrize("kind", ["organization", "project"])
async def test_a_limit_is_set_shown_and_removed(house: House, kind: str) -> None:
    path = f"{ORGANIZATION if kind == 'organization' else house.at_project}/spend_limit"
    assert (await house.refused("GET", path))[0] == 404
    assert (await house.refused("DELETE", path))[0] == 404
    wanted = {"threshold_amount": 5000, "currency": "USD", "interval": "month"}
    limit = await house.post(path, wanted)
    assert limit == wanted | {"object": f"{kind}.spend_limit", "enforcement": {"status": "enforcing"}}
    assert await house.get(path) == limit
    changed = await house.post(path, wanted | {"threshold_amount": 0})
    assert await house.get(path) == changed == limit | {"threshold_amount": 0}
    status, answer = await house.call("DELETE", path)
    assert (status, answer) == (200, {"object": f"{kind}.spend_limit.deleted", "deleted": True})
    assert (await house.refused("GET", path))[0] == 404
    events = (await house.world.events(house.organization.id))[-3:]
    assert events == ["spend_limit.updated", "spend_limit.updated", "spend_limit.deleted"]


async def test_the_two_are_apart(house: House) -> None:
    wanted = {"threshold_amount": 5000, "currency": "USD", "interval": "month"}
    await house.post(f"{house.at_project}/spend_limit", wanted)
    assert (await house.refused("GET", f"{ORGANIZATION}/spend_limit"))[0] == 404
    assert (await house.refused("GET", f"{ORGANIZATION}/projects/proj_none/spend_limit"))[0] == 404


@pytest.mark.parametrize(
    "change, wrong",
    [
        ({"threshold_amount": -1}, (400, "invalid_value", "threshold_amount")),
        ({"threshold_amount": "5"}, (400, "invalid_type", "threshold_amount")),
        ({"currency": "EUR"}, (400, "invalid_value", "currency")),
        ({"interval": "day"}, (400, "invalid_value", "interval")),
        ({"enforcement": {}}, (400, "unknown_parameter", "enforcement")),
    ],
)
async def test_what_cannot_be_a_limit(
    house: House, change: dict[str, object], wrong: tuple[int, str, str]
) -> None:
    body = {"threshold_amount": 5000, "currency": "USD", "interval": "month"} | change
    assert await house.refused("POST", f"{ORGANIZATION}/spend_limit", body) == wrong

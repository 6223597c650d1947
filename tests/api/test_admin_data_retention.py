"""For how long content is kept, through the API."""

from __future__ import annotations

from typing import Any

import pytest

from admin_service import ORGANIZATION, House

WHOLE = f"{ORGANIZATION}/data_retention"


async def test_an_organization_and_a_project(house: House) -> None:
    own = f"{house.at_project}/data_retention"
    assert await house.get(WHOLE) == {"object": "organization.data_retention", "type": "none", "days": 30}
    followed = {"object": "project.data_retention", "type": "organization_default", "days": 30}
    assert await house.get(own) == followed
    made = await house.post(WHOLE, {"retention_type": "none", "days": 7})
    assert (
        made == await house.get(WHOLE) == {"object": "organization.data_retention", "type": "none", "days": 7}
    )
    assert await house.get(own) == followed | {"days": 7}
    zero = await house.post(own, {"retention_type": "zero_data_retention"})
    assert zero == {"object": "project.data_retention", "type": "zero_data_retention", "days": 0}
    assert await house.get(WHOLE) == made
    assert await house.post(own, {"retention_type": "organization_default"}) == followed | {"days": 7}
    again = await house.post(WHOLE, {"retention_type": "none"})
    assert again["days"] == 30, "without days it is OpenAI's own: 30"
    events = (await house.world.events(house.organization.id))[-4:]
    assert events == ["data_retention.updated"] * 4


async def test_a_change_is_in_force_for_the_next_request_but_half_a_second(house: House) -> None:
    caller = house.world.access.authenticator.authenticate
    _, secret = await house.world.key(house.realm)
    assert (await caller(secret)).policy.days == 30
    await house.post(WHOLE, {"retention_type": "enhanced_zero_data_retention"})
    house.world.monotonic += 0.6
    assert (await caller(secret)).policy.days == 0


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, (400, "missing_required_parameter", "retention_type")),
        ({"retention_type": "forever"}, (400, "invalid_value", "retention_type")),
        ({"retention_type": "organization_default"}, (400, "invalid_value", "retention_type")),
        ({"retention_type": "none", "days": 0}, (400, "invalid_value", "days")),
        ({"retention_type": "none", "days": 31}, (400, "invalid_value", "days")),
        ({"retention_type": "none", "days": 1.5}, (400, "invalid_type", "days")),
        ({"retention_type": "zero_data_retention", "days": 1}, (400, None, "days")),
        ({"retention_type": "none", "type": "none"}, (400, "unknown_parameter", "type")),
    ],
)
async def test_what_cannot_be_a_policy(house: House, body: Any, wrong: tuple[int, str, str]) -> None:
    assert await house.refused("POST", WHOLE, body) == wrong
    assert (await house.get(WHOLE))["days"] == 30


async def test_a_project_that_follows_has_no_days_of_its_own(house: House) -> None:
    body = {"retention_type": "organization_default", "days": 3}
    assert await house.refused("POST", f"{house.at_project}/data_retention", body) == (400, None, "days")
    missing = f"{ORGANIZATION}/projects/proj_none/data_retention"
    assert (await house.refused("GET", missing))[0] == 404

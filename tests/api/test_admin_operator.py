"""Organizations and credits through the API, for the operator."""

from __future__ import annotations

import pytest

from admin_service import OPERATOR, ORGANIZATION, House


async def test_the_operator_makes_organizations(house: House) -> None:
    made = await house.post(OPERATOR, {"name": "globex", "prepaid": True}, key=house.operator)
    assert made == {
        "id": made["id"],
        "object": "organization",
        "name": "globex",
        "created_at": int(house.world.wall),
        "prepaid": True,
        "data_retention": {"object": "organization.data_retention", "type": "none", "days": 30},
    }
    assert await house.get(f"{OPERATOR}/{made['id']}", key=house.operator) == made
    listed = await house.get(f"{OPERATOR}?limit=1", key=house.operator)
    rest = await house.get(f"{OPERATOR}?after={listed['last_id']}", key=house.operator)
    assert made in [*listed["data"], *rest["data"]]
    assert listed["has_more"] and not rest["has_more"]
    again = await house.refused("POST", OPERATOR, {"name": "globex"}, key=house.operator)
    assert again == (400, None, "name")


async def test_the_operator_sees_for_how_long_content_is_kept(house: House) -> None:
    await house.post(f"{ORGANIZATION}/data_retention", {"retention_type": "none", "days": 5})
    listed = await house.get(OPERATOR, key=house.operator)
    days = {one["name"]: one["data_retention"]["days"] for one in listed["data"]}
    assert days["acme"] == 5 and set(days.values()) <= {5, 30}


async def test_the_operator_administrates_the_organization_that_is_named(house: House) -> None:
    for name in (house.organization.id, "acme"):
        status, answer = await house.call(
            "GET", f"{ORGANIZATION}/projects", key=house.operator, openai_organization=name
        )
        assert (status, [project["name"] for project in answer["data"]]) == (200, ["shop"])


async def test_credits_are_exact(house: House) -> None:
    path = f"{OPERATOR}/{house.organization.id}/credits"
    made = await house.post(path, {"amount": "100000000", "note": "June"}, key=house.operator)
    assert made == {
        "id": made["id"],
        "object": "organization.credit",
        "amount": "100000000.000000000",
        "currency": "usd",
        "note": "June",
        "created_at": int(house.world.wall),
    }
    await house.post(path, {"amount": "-99999999.999999999"}, key=house.operator)
    listed = await house.get(path, key=house.operator)
    assert [credit["amount"] for credit in listed["data"]] == [made["amount"], "-99999999.999999999"]
    assert listed["balance"] == {
        "credited": "0.000000001",
        "charged": "0.000000000",
        "held": "0.000000000",
        "left": "0.000000001",
    }
    rest = await house.get(f"{path}?after={made['id']}&limit=1", key=house.operator)
    assert (len(rest["data"]), rest["has_more"]) == (1, False)
    assert (await house.world.events(house.organization.id))[-2:] == ["credit.created"] * 2


async def test_a_credit_that_is_asked_for_again_is_given_once(house: House) -> None:
    path = f"{OPERATOR}/{house.organization.id}/credits"
    wanted = {"amount": "5", "note": "June"}
    made = await house.post(path, wanted, key=house.operator, idempotency_key="invoice-7")
    assert await house.post(path, wanted, key=house.operator, idempotency_key="invoice-7") == made
    other = await house.refused(
        "POST", path, {"amount": "6", "note": "June"}, key=house.operator, idempotency_key="invoice-7"
    )
    assert other == (400, "idempotency_key_in_use", None)
    assert (await house.get(path, key=house.operator))["balance"]["credited"] == "5.000000000"
    assert (await house.world.events(house.organization.id)).count("credit.created") == 1


@pytest.mark.parametrize("name", ["", "x" * 256, "\u00e9"])
async def test_what_is_no_idempotency_key_is_refused(house: House, name: str) -> None:
    path = f"{OPERATOR}/{house.organization.id}/credits"
    refused = await house.refused("POST", path, {"amount": "5"}, key=house.operator, idempotency_key=name)
    assert refused == (400, "invalid_idempotency_key", "Idempotency-Key")


@pytest.mark.parametrize("amount", ["", "1e3", "0.0000000001", " 1", "1,5", "NaN", "0", "1000000000.5"])
async def test_what_is_no_amount(house: House, amount: str) -> None:
    path = f"{OPERATOR}/{house.organization.id}/credits"
    status, _, param = await house.refused("POST", path, {"amount": amount}, key=house.operator)
    assert (status, param) == (400, "amount")

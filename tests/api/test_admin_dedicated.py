"""Dedicated instances through the API."""

from __future__ import annotations

from typing import Any

import pytest

from admin_service import ORGANIZATION, House
from service import CHAT, SPEECH

PATH = f"{ORGANIZATION}/dedicated_instances"
CALENDAR = f"{PATH}/calendar?model={SPEECH}"


@pytest.fixture
async def site(house: House) -> House:
    """The organization, with a machine that has room for four replicas."""
    await house.equip(cpus=4, seconds=10**6)
    return house


async def test_an_instance_is_made_shown_changed_and_ended(site: House) -> None:
    made = await site.post(PATH, {"model": "whisper-1"})
    now = int(site.world.wall)
    assert made == {
        "id": made["id"],
        "object": "organization.dedicated_instance",
        "name": SPEECH,
        "model": SPEECH,
        "context_length": 0,
        "load": 32,
        "replicas": 1,
        "ready_replicas": 0,
        "spill_over": False,
        "status": "running",
        "starts_at": now,
        "ends_at": None,
        "created_at": now,
        "price_per_hour": "1.500000000",
        "cost": {"charged": "0.000000000", "credited": "0.000000000"},
    }
    path = f"{PATH}/{made['id']}"
    assert await site.get(path) == made
    changed = await site.post(path, {"load": 4, "replicas": 2, "name": "ours", "spill_over": True})
    assert changed == made | {"load": 4, "replicas": 2, "name": "ours", "spill_over": True}
    assert await site.post(path, {}) == changed
    for ends_at in (now + 100, None):
        assert (await site.post(path, {"ends_at": ends_at}))["ends_at"] == ends_at
    status, answer = await site.call("DELETE", path)
    deleted = {"id": made["id"], "object": "organization.dedicated_instance.deleted", "deleted": True}
    assert (status, answer) == (200, deleted)
    assert (await site.get(path))["status"] == "ended"
    assert (await site.call("DELETE", path)) == (200, deleted)
    assert await site.refused("POST", path, {"load": 5}) == (400, None, None)
    events = [e for e in await site.world.events(site.organization.id) if e.startswith("dedicated")]
    assert events == [
        "dedicated_instance.created",
        *["dedicated_instance.updated"] * 3,
        "dedicated_instance.deleted",
    ]


async def test_one_that_is_to_come_is_scheduled(site: House) -> None:
    begin = int(site.world.wall) + 1000
    made = await site.post(PATH, {"model": SPEECH, "starts_at": begin, "ends_at": begin + 10})
    assert (made["status"], made["starts_at"], made["ends_at"]) == ("scheduled", begin, begin + 10)
    await site.call("DELETE", f"{PATH}/{made['id']}")
    assert (await site.get(f"{PATH}/{made['id']}"))["status"] == "ended"


async def test_instances_are_listed_page_by_page(site: House) -> None:
    assert (await site.get(PATH))["data"] == []
    made = [await site.post(PATH, {"model": SPEECH, "name": f"n{n}"}) for n in range(3)]
    page = await site.get(f"{PATH}?limit=2")
    assert page["data"] == made[:2] and page["has_more"] and page["last_id"] == made[1]["id"]
    rest = await site.get(f"{PATH}?limit=2&after={page['last_id']}")
    assert rest["data"] == made[2:] and not rest["has_more"]
    assert await site.refused("GET", f"{PATH}?after=dedicated_none") == (400, None, "after")


async def test_the_calendar_shows_what_is_free(site: House) -> None:
    now = int(site.world.wall)
    await site.post(PATH, {"model": SPEECH, "replicas": 3, "starts_at": now + 500, "ends_at": now + 900})
    shown = await site.get(f"{CALENDAR}&start_time={now + 100}&end_time={now + 1000}")
    assert shown == {
        "object": "organization.dedicated_instance.calendar",
        "model": SPEECH,
        "data": [
            {"starts_at": now + 100, "ends_at": now + 500, "replicas": 4},
            {"starts_at": now + 500, "ends_at": now + 900, "replicas": 1},
            {"starts_at": now + 900, "ends_at": now + 1000, "replicas": 4},
        ],
    }
    year = (await site.get(CALENDAR))["data"]
    assert year[0]["starts_at"] == int(site.world.wall)
    assert year[-1]["ends_at"] == int(site.world.wall) + 365 * 86_400
    assert (await site.get(f"{CALENDAR}&start_time=0&end_time=10"))["data"] == [], "what is over is not free"


async def test_what_is_taken_is_refused_and_told(site: House) -> None:
    await site.post(PATH, {"model": SPEECH, "replicas": 3})
    status, answer = await site.call("POST", PATH, {"model": SPEECH, "replicas": 2})
    assert (status, answer["error"]["code"]) == (400, "capacity_taken")
    assert answer["error"]["type"] == "invalid_request_error"
    assert "lacks 1 processors" in answer["error"]["message"]
    made = await site.post(PATH, {"model": SPEECH})
    wrong = (400, "capacity_taken", None)
    assert await site.refused("POST", f"{PATH}/{made['id']}", {"replicas": 2}) == wrong


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, ("missing_required_parameter", "model")),
        ({"model": ""}, ("invalid_value", "model")),
        ({"model": "none"}, ("invalid_value", "model")),
        ({"model": CHAT}, ("invalid_value", "model")),
        ({"model": 5}, ("invalid_type", "model")),
        ({"model": "x" * 201}, ("invalid_value", "model")),
        ({"name": ""}, ("invalid_value", "name")),
        ({"name": "x" * 101}, ("invalid_value", "name")),
        ({"name": "a\tb"}, (None, "name")),
        ({"context_length": 0}, ("invalid_value", "context_length")),
        ({"context_length": 100}, ("invalid_value", "context_length")),
        ({"context_length": 1.5}, ("invalid_type", "context_length")),
        ({"load": 0}, ("invalid_value", "load")),
        ({"load": 257}, ("invalid_value", "load")),
        ({"load": "4"}, ("invalid_type", "load")),
        ({"replicas": 0}, ("invalid_value", "replicas")),
        ({"replicas": 65}, ("invalid_value", "replicas")),
        ({"replicas": None}, ("invalid_type", "replicas")),
        ({"starts_at": -1}, ("invalid_value", "starts_at")),
        ({"starts_at": 10**12}, ("invalid_value", "starts_at")),
        ({"ends_at": 5}, ("invalid_value", "ends_at")),
        ({"ends_at": 10**12}, ("invalid_value", "ends_at")),
        ({"ends_at": "soon"}, ("invalid_type", "ends_at")),
        ({"spill_over": 1}, ("invalid_type", "spill_over")),
        ({"price_per_hour": "0"}, ("unknown_parameter", "price_per_hour")),
    ],
)
async def test_a_wrong_order_names_what_is_wrong(site: House, body: dict[str, Any], wrong: Any) -> None:
    asked = body if "model" in body or not body else {"model": SPEECH} | body
    assert await site.refused("POST", PATH, asked) == (400, *wrong)


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({"name": None}, ("invalid_type", "name")),
        ({"name": "a\tb"}, (None, "name")),
        ({"load": None}, ("invalid_type", "load")),
        ({"load": 257}, ("invalid_value", "load")),
        ({"replicas": 65}, ("invalid_value", "replicas")),
        ({"context_length": 100}, ("invalid_value", "context_length")),
        ({"ends_at": 5}, ("invalid_value", "ends_at")),
        ({"starts_at": 5}, ("unknown_parameter", "starts_at")),
        ({"model": SPEECH}, ("unknown_parameter", "model")),
    ],
)
async def test_a_wrong_change_names_what_is_wrong(site: House, body: dict[str, Any], wrong: Any) -> None:
    made = await site.post(PATH, {"model": SPEECH})
    assert await site.refused("POST", f"{PATH}/{made['id']}", body) == (400, *wrong)
    assert await site.get(f"{PATH}/{made['id']}") == made


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("", "model"),
        ("?model=none", "model"),
        (f"?model={SPEECH}&start_time=5&end_time=5", "end_time"),
        (f"?model={SPEECH}&start_time=x", "start_time"),
        (f"?model={SPEECH}&end_time=-1", "end_time"),
        (f"?model={SPEECH}&replicas=3", "replicas"),
    ],
)
async def test_a_wrong_calendar_names_what_is_wrong(site: House, query: str, param: str) -> None:
    status, _, named = await site.refused("GET", f"{PATH}/calendar{query}")
    assert (status, named) == (400, param)


async def test_who_has_not_paid_enough_is_refused(site: House) -> None:
    organizations = site.world.access.organizations
    poor = await organizations.create("poor", prepaid=True, by=None)
    headers = {"openai_organization": poor.id}
    wrong = await site.refused("POST", PATH, {"model": SPEECH}, key=site.operator, **headers)
    assert wrong == (429, "insufficient_quota", None)


async def test_an_order_that_comes_again_buys_nothing_more(site: House) -> None:
    made = await site.post(PATH, {"model": SPEECH}, idempotency_key="order-7")
    assert await site.post(PATH, {"model": SPEECH}, idempotency_key="order-7") == made
    other = await site.refused("POST", PATH, {"model": SPEECH, "load": 3}, idempotency_key="order-7")
    assert other == (400, "idempotency_key_in_use", None)
    wrong = await site.refused("POST", PATH, {"model": SPEECH}, idempotency_key="x" * 300)
    assert wrong == (400, "invalid_idempotency_key", "Idempotency-Key")
    assert [one["id"] for one in (await site.get(PATH))["data"]] == [made["id"]]

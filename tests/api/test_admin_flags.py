"""Flags through the API: an owner reads and appeals, the operator decides, suspends and sets thresholds."""

from __future__ import annotations

from typing import Any

import pytest

from admin_service import OPERATOR, ORGANIZATION, House
from antiphon.moderation.monitor import Seen
from antiphon.moderation.policy import Found
from antiphon.operations.moderating import Moderating
from antiphon.values import Caller

FLAGS = f"{ORGANIZATION}/flags"


async def raised(house: House, request_id: str = "req_1") -> str:
    caller = Caller(
        key_id="key_1", project_id=house.project.id, organization_id=house.organization.id, organization=""
    )
    seen = Seen(
        request_id=request_id,
        caller=caller,
        snapshot="chat-1",
        findings=[Found("input", "hate", 0.91, "rules")],
        at=house.world.wall,
    )
    flag = await Moderating(house.world.database, lambda: house.world.wall).act(seen)
    assert flag is not None
    return flag.id


async def test_a_flag_from_its_raising_to_its_end(house: House) -> None:
    at, id = int(house.world.wall), await raised(house)
    listed = await house.get(FLAGS)
    assert listed["data"] == [await house.get(f"{FLAGS}/{id}")] and not listed["has_more"]
    assert listed["data"][0] == {
        "id": id, "object": "organization.flag", "organization_id": house.organization.id,
        "project_id": house.project.id, "key_id": "key_1", "request_id": "req_1", "model": "chat-1",
        "category": "hate", "score": 0.91, "action": "note", "detail": "",
        "findings": [{"side": "input", "category": "hate", "score": 0.91, "scorer": "rules"}],
        "status": "open", "created_at": at, "appeal": None, "resolution": None,
    }  # fmt: skip
    assert await house.get(f"{FLAGS}/{id}/evidence") == {
        "id": id, "object": "organization.flag.evidence", "text": None,
    }  # fmt: skip
    appealed = await house.post(f"{FLAGS}/{id}/appeal", {"text": "It was a quote."})
    assert appealed["appeal"] == {"text": "It was a quote.", "created_at": int(house.world.wall)}
    assert (await house.get("/v1/operator/flags?status=appealed", key=house.operator))["last_id"] == id
    resolve = f"/v1/operator/flags/{id}/resolve"
    refused = await house.refused("POST", resolve, {"outcome": "upheld"}, key=house.operator)
    assert refused == (400, None, "answer")
    over = await house.post(resolve, {"outcome": "dismissed", "answer": "Indeed."}, key=house.operator)
    assert over["resolution"] == {
        "outcome": "dismissed", "answer": "Indeed.", "resolved_at": int(house.world.wall),
    }  # fmt: skip
    assert (await house.get(f"{FLAGS}?status=open"))["data"] == []
    assert {"flag.appealed", "flag.resolved"} <= set(await house.world.events(house.organization.id))


async def test_lists_go_on_after_a_flag(house: House) -> None:
    ids = []
    for at in range(3):
        house.world.wall += 1
        ids.append(await raised(house, f"req_{at}"))
    first = await house.get(f"{FLAGS}?limit=2")
    rest = await house.get(f"{FLAGS}?limit=2&after={first['last_id']}")
    assert [one["id"] for one in first["data"] + rest["data"]] == ids[::-1]
    assert (first["has_more"], rest["has_more"]) == (True, False)
    assert (await house.get(f"{FLAGS}?category=sexual"))["data"] == []


async def test_the_operator_suspends_and_lets_go_on(house: House) -> None:
    place = f"{OPERATOR}/{house.organization.id}"
    standing = await house.post(f"{place}/suspend", {"reason": "unpaid bills"}, key=house.operator)
    assert (standing["suspended_at"], standing["reason"]) == (int(house.world.wall), "unpaid bills")
    assert await house.get(f"{ORGANIZATION}/moderation") == standing
    flag = await house.get(f"{FLAGS}/{standing['flag_id']}")
    assert (flag["category"], flag["action"], flag["detail"]) == ("manual", "suspend", "unpaid bills")
    _, secret = await house.world.key(house.realm)
    refused = await house.refused("GET", "/v1/models", key=secret)
    assert refused == (403, "organization_suspended", None)
    resumed = await house.post(f"{place}/resume", key=house.operator)
    assert (resumed["suspended_at"], resumed["reason"], resumed["flag_id"]) == (None, "", None)
    house.world.monotonic += 1
    assert (await house.get("/v1/models", key=secret))["object"] == "list"


async def test_the_operator_sets_thresholds(house: House) -> None:
    path = f"{OPERATOR}/{house.organization.id}/moderation_thresholds"
    wanted: dict[str, Any] = {"category": "hate", "action": "suspend", "score": 0.95, "times": 3}
    standing = await house.post(path, wanted, key=house.operator)
    assert wanted in standing["thresholds"]
    assert (await house.get(f"{ORGANIZATION}/moderation"))["thresholds"] == standing["thresholds"]
    standing = await house.post(path, wanted | {"score": None}, key=house.operator)
    assert all((one["category"], one["action"]) != ("hate", "suspend") for one in standing["thresholds"])


@pytest.mark.parametrize(
    ("changed", "param"),
    [({"category": "rude"}, "category"), ({"score": 2}, "score"), ({"action": "x"}, "action")],
)
async def test_what_is_no_threshold_is_refused(house: House, changed: dict[str, Any], param: str) -> None:
    path = f"{OPERATOR}/{house.organization.id}/moderation_thresholds"
    given = {"category": "hate", "action": "note", "score": 0.5} | changed
    assert (await house.refused("POST", path, given, key=house.operator))[::2] == (400, param)

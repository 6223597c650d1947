"""The audit log through the API."""

from __future__ import annotations

import pytest

from admin_service import ORGANIZATION, House
from antiphon.access.api_key import Realm

LOGS = f"{ORGANIZATION}/audit_logs"


async def types(house: House, query: str) -> list[str]:
    return [event["type"] for event in (await house.get(f"{LOGS}?{query}"))["data"]]


async def test_an_event_says_what_was_done_and_by_whom(house: House) -> None:
    made = await house.post(f"{ORGANIZATION}/projects", {"name": "till"})
    event = (await house.get(f"{LOGS}?limit=1"))["data"][0]
    key = next(iter((await house.get(f"{ORGANIZATION}/admin_api_keys"))["data"]))
    assert event == {
        "id": event["id"],
        "type": "project.created",
        "effective_at": int(house.world.wall),
        "project": {"id": made["id"], "name": "till"},
        "actor": {
            "type": "api_key",
            "api_key": {"id": key["id"], "type": None, "user": None},
        },
        "project.created": {"id": made["id"], "data": {"name": "till", "title": "till"}},
    }


async def test_an_actor_is_shown_with_the_owner_of_the_key(house: House) -> None:
    oldest = (await house.get(LOGS))["data"][-1]
    assert (oldest["type"], oldest["actor"], oldest["project"]) == ("organization.created", None, None)
    member = await house.world.access.members.add(house.organization.id, "a@b.c", "Ann", "owner", by=None)
    _, secret = await house.world.key(Realm(house.organization.id), member_id=member.id)
    await house.post(f"{ORGANIZATION}/projects", {"name": "till"}, key=secret)
    account = await house.post(f"{house.at_project}/service_accounts", {"name": "robot"}, key=secret)
    listed = (await house.get(f"{LOGS}?actor_ids[]={member.id}"))["data"]
    events = {event["type"]: event for event in listed}
    assert set(events) == {"api_key.created", "service_account.created", "project.created"}
    for event in listed:
        actor = event["actor"]["api_key"]
        assert (actor["type"], actor["user"]) == ("user", {"id": member.id, "email": "a@b.c"})
    event = events["api_key.created"]
    assert event["project"] == {"id": house.project.id, "name": "shop"}
    assert event["api_key.created"]["id"] == account["api_key"]["id"]


async def test_events_are_chosen(house: House) -> None:
    await house.post(f"{house.at_project}", {"name": "till"})
    await house.post(f"{house.at_project}/archive")
    now = int(house.world.wall)
    assert await types(house, f"effective_at[gte]={now - 1}") == ["project.archived", "project.updated"]
    assert await types(house, f"effective_at[gt]={now - 1}") == ["project.archived"]
    within = f"effective_at[lt]={now}&effective_at[gt]={now - 2}"
    assert await types(house, within) == ["project.updated"]
    assert (await types(house, f"effective_at[lte]={now - 2}"))[-1] == "organization.created"
    chosen = "event_types[]=project.created&event_types[]=project.archived"
    assert await types(house, chosen) == ["project.archived", "project.created"]
    assert len(await types(house, f"project_ids[]={house.project.id}")) == 3
    assert await types(house, "project_ids[]=proj_none") == []
    assert await types(house, "actor_emails[]=a@b.c") == []


@pytest.mark.parametrize("comparison", ["gt", "gte", "lt", "lte"])
async def test_a_time_that_no_calendar_has_is_refused(house: House, comparison: str) -> None:
    name = f"effective_at[{comparison}]"
    for time in (-1, 2**63, 10**30):
        assert await house.refused("GET", f"{LOGS}?{name}={time}") == (400, "invalid_value", name)


async def test_events_come_in_pages_both_ways(house: House) -> None:
    every = [event["id"] for event in (await house.get(LOGS))["data"]]
    assert len(every) > 2
    first = await house.get(f"{LOGS}?limit=2")
    assert (first["first_id"], first["last_id"], first["has_more"]) == (every[0], every[1], True)
    rest = await house.get(f"{LOGS}?after={first['last_id']}")
    assert ([event["id"] for event in rest["data"]], rest["has_more"]) == (every[2:], False)
    back = await house.get(f"{LOGS}?before={rest['first_id']}&limit=1")
    assert [event["id"] for event in back["data"]] == [every[1]]
    assert (await house.get(f"{LOGS}?after={every[-1]}"))["last_id"] is None


async def test_the_reference_describes_the_query(house: House) -> None:
    _, _, document = await house.service.call("GET", "/openapi.json")
    parameters = {p["name"]: p for p in document["paths"][LOGS]["get"]["parameters"]}
    assert parameters["effective_at[gte]"]["in"] == "query"
    assert parameters["limit"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}
    _, _, page = await house.service.call("GET", "/docs/api")
    assert "effective_at[gte]" in page

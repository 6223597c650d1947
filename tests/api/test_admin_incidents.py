"""Incidents through the API, as the operator keeps them."""

from __future__ import annotations

from admin_service import House
from antiphon.access.tenancy import default_organization

PATH = "/v1/operator/incidents"


async def test_one_is_opened_noted_resolved_listed_and_audited(house: House) -> None:
    key = house.operator
    body = {"title": "Slow", "text": "We look at it.", "api": "chat"}
    made = await house.post(PATH, body, key=key)
    now = int(house.world.wall)
    assert made == {
        "id": made["id"],
        "object": "status.incident",
        "kind": "manual",
        "api": "chat",
        "severity": None,
        "title": "Slow",
        "opened_at": now,
        "begins_at": now,
        "ends_at": None,
        "resolved_at": None,
        "notes": [{"at": now, "event": "opened", "text": "We look at it."}],
    }
    noted = await house.post(f"{PATH}/{made['id']}/notes", {"text": "Found."}, key=key)
    over = await house.post(f"{PATH}/{made['id']}/resolve", {"text": "Repaired."}, key=key)
    assert [note["event"] for note in over["notes"]] == ["opened", "noted", "resolved"]
    assert len(noted["notes"]) == 2 and over["resolved_at"] == int(house.world.wall)
    again = await house.post(PATH, body, key=key)
    page = await house.get(f"{PATH}?limit=1", key=key)
    assert page["data"] == [again] and page["has_more"]
    rest = await house.get(f"{PATH}?after={again['id']}", key=key)
    assert rest["data"] == [over] and not rest["has_more"]
    async with house.world.database.begin() as connection:
        organization_id = await default_organization(connection, now)
    events = await house.world.events(organization_id)
    assert [event for event in events if event.startswith("incident")] == [
        "incident.opened",
        "incident.noted",
        "incident.resolved",
        "incident.opened",
    ]


async def test_maintenance_and_what_is_refused(house: House) -> None:
    key, now = house.operator, int(house.world.wall)
    plan = {"title": "Disks", "text": "New.", "begins_at": now + 100, "ends_at": now + 200}
    made = await house.post(PATH, plan, key=key)
    assert (made["kind"], made["begins_at"], made["ends_at"]) == ("maintenance", now + 100, now + 200)
    assert await house.refused("POST", PATH, plan | {"begins_at": now - 1}, key=key) == (
        400,
        None,
        "begins_at",
    )
    assert await house.refused("POST", PATH, {"title": "x", "text": " "}, key=key) == (400, None, "text")
    assert await house.refused("POST", PATH, {"title": "x", "text": "y", "api": "z"}, key=key) == (
        400,
        "invalid_value",
        "api",
    )
    for path in (f"{PATH}/incident_1/notes", f"{PATH}/incident_1/resolve"):
        assert (await house.refused("POST", path, {"text": "x"}, key=key))[0] == 404
    assert (await house.refused("GET", PATH))[0] == 403

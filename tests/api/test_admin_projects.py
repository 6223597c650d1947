"""Projects through the API."""

from __future__ import annotations

import pytest

from admin_service import ORGANIZATION, House

PROJECTS = f"{ORGANIZATION}/projects"


async def test_a_project_is_made_shown_renamed_and_archived(house: House) -> None:
    made = await house.post(PROJECTS, {"name": "till"})
    assert made == {
        "id": made["id"],
        "object": "organization.project",
        "name": "till",
        "created_at": int(house.world.wall),
        "archived_at": None,
        "status": "active",
    }
    path = f"{PROJECTS}/{made['id']}"
    assert await house.get(path) == made
    assert await house.post(path, {"name": "desk"}) == made | {"name": "desk"}
    archived = await house.post(f"{path}/archive")
    assert archived == made | {"name": "desk", "status": "archived", "archived_at": int(house.world.wall)}
    assert await house.get(path) == archived
    assert (await house.refused("POST", path, {"name": "x"}))[0] == 400


async def test_projects_come_in_pages(house: House) -> None:
    ids = [house.project.id]
    for name in ("a", "b"):
        ids.append((await house.post(PROJECTS, {"name": name}))["id"])
    first = await house.get(f"{PROJECTS}?limit=2")
    assert [project["id"] for project in first["data"]] == ids[:2]
    assert (first["object"], first["has_more"]) == ("list", True)
    assert (first["first_id"], first["last_id"]) == (ids[0], ids[1])
    rest = await house.get(f"{PROJECTS}?limit=2&after={ids[1]}")
    assert ([project["id"] for project in rest["data"]], rest["has_more"]) == (ids[2:], False)
    await house.post(f"{PROJECTS}/{ids[2]}/archive")
    assert len((await house.get(PROJECTS))["data"]) == 2
    assert len((await house.get(f"{PROJECTS}?include_archived=true"))["data"]) == 3
    empty = await house.get(f"{PROJECTS}?after={ids[2]}")
    assert (empty["data"], empty["first_id"], empty["last_id"]) == ([], None, None)


@pytest.mark.requirement("R4")
async def test_wrong_requests_name_what_is_wrong(house: House) -> None:
    assert await house.refused("POST", PROJECTS, {}) == (400, "missing_required_parameter", "name")
    assert await house.refused("POST", PROJECTS, {"name": ""}) == (400, "invalid_value", "name")
    assert await house.refused("POST", PROJECTS, {"name": "shop"}) == (400, None, "name")
    extra = {"name": "a", "geography": "EU"}
    assert await house.refused("POST", PROJECTS, extra) == (400, "unknown_parameter", "geography")
    assert await house.refused("GET", f"{PROJECTS}?order=asc") == (400, "unknown_parameter", "order")
    assert await house.refused("GET", f"{PROJECTS}?after=proj_none") == (400, None, "after")
    assert (await house.refused("POST", PROJECTS, {"name": "a" * 70_000}))[0] == 413

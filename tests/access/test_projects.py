from __future__ import annotations

import pytest

from antiphon.errors import InvalidRequest, NotFound
from tenants import START, World


async def test_a_project_is_made_and_found_by_id_and_by_name(world: World) -> None:
    acme = await world.organization()
    projects = world.access.projects
    made = await projects.create(acme.id, "shop", by=None)
    assert made.id.startswith("proj_") and made.created_at == START and made.archived_at is None
    assert made == await projects.get(acme.id, made.id) == await projects.find(acme.id, "shop")
    assert await projects.find(acme.id, made.id) == made
    assert await projects.ensure(acme.id, "shop", by=None) == made
    assert (await projects.ensure(acme.id, "other", by=None)).name == "other"


async def test_foreign_and_missing_projects_are_the_same_404(world: World) -> None:
    ours, theirs = await world.organization("acme"), await world.organization("other")
    foreign = await world.project(theirs, "theirs")
    projects = world.access.projects
    messages = set()
    for project_id in (foreign.id, "proj_missing"):
        for attempt in (
            projects.get(ours.id, project_id),
            projects.find(ours.id, project_id),
            projects.rename(ours.id, project_id, "b", by=None),
            projects.archive(ours.id, project_id, by=None),
        ):
            with pytest.raises(NotFound) as caught:
                await attempt
            messages.add(caught.value.message)
    with pytest.raises(NotFound) as caught:
        await projects.find(ours.id, "theirs")
    assert messages == {caught.value.message} == {"There is no such project."}
    assert await projects.get(theirs.id, foreign.id) == foreign


async def test_nothing_is_made_in_an_organization_that_is_missing(world: World) -> None:
    for attempt in (world.access.projects.create, world.access.projects.ensure):
        with pytest.raises(NotFound, match="organization"):
            await attempt("org-missing", "shop", by=None)


async def test_names_are_unique_within_an_organization(world: World) -> None:
    acme, other = await world.organization("acme"), await world.organization("other")
    shop, till = await world.project(acme, "shop"), await world.project(acme, "till")
    await world.project(other, "shop")
    projects = world.access.projects
    await projects.archive(acme.id, shop.id, by=None)
    for attempt in (
        projects.create(acme.id, "shop", by=None),
        projects.rename(acme.id, till.id, "shop", by=None),
        projects.create(acme.id, "x" * 101, by=None),
        projects.rename(acme.id, till.id, "", by=None),
    ):
        with pytest.raises(InvalidRequest) as caught:
            await attempt
        assert caught.value.param == "name"
    assert (await projects.rename(acme.id, till.id, "till", by=None)).name == "till"


async def test_an_archived_project_stays_so_and_cannot_be_changed(world: World) -> None:
    acme = await world.organization()
    shop = await world.project(acme)
    projects = world.access.projects
    assert (await projects.archive(acme.id, shop.id, by=None)).archived_at == START
    world.wall += 100
    assert (await projects.archive(acme.id, shop.id, by=None)).archived_at == START
    with pytest.raises(InvalidRequest, match="archived"):
        await projects.rename(acme.id, shop.id, "b", by=None)
    assert (await world.events(acme.id)).count("project.archived") == 1


async def test_they_are_listed_in_pages_the_archived_ones_when_asked_for(world: World) -> None:
    acme, other = await world.organization("acme"), await world.organization("other")
    await world.project(other)
    made = []
    for number in range(4):
        world.wall += 1
        made.append(await world.project(acme, f"project {number}"))
    projects = world.access.projects
    archived = await projects.archive(acme.id, made[1].id, by=None)
    first = await projects.list(acme.id, limit=2)
    rest = await projects.list(acme.id, limit=2, after=first.data[-1].id)
    assert first.data + rest.data == [made[0], made[2], made[3]]
    assert (first.has_more, rest.has_more) == (True, False)
    whole = await projects.list(acme.id, include_archived=True)
    assert whole.data == [made[0], archived, made[2], made[3]]


async def test_changes_are_logged(world: World) -> None:
    acme = await world.organization()
    world.wall += 1
    shop = await world.project(acme)
    world.wall += 1
    await world.access.projects.rename(acme.id, shop.id, "till", by=None)
    world.wall += 1
    await world.access.projects.archive(acme.id, shop.id, by=None)
    logged = (await world.access.audit.list(acme.id)).data[:3]
    assert [event.type for event in logged] == ["project.archived", "project.updated", "project.created"]
    assert {(event.project_id, event.project, event.payload["id"]) for event in logged} == {
        (shop.id, "till", shop.id)
    }
    assert logged[1].payload["changes_requested"] == {"name": "till"}

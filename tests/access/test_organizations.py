from __future__ import annotations

import asyncio

import pytest

from antiphon.access.api_key import Realm
from antiphon.errors import InvalidRequest, NotFound
from tenants import START, World


async def test_an_organization_is_made_and_found_by_id_and_by_name(world: World) -> None:
    organizations = world.access.organizations
    made = await organizations.create("acme", prepaid=True, by=None)
    assert made.id.startswith("org-") and (made.created_at, made.prepaid) == (START, True)
    assert made == await organizations.get(made.id) == await organizations.find("acme")
    assert await organizations.find(made.id) == made


async def test_an_id_comes_before_a_name_that_looks_like_it(world: World) -> None:
    real = await world.organization("acme")
    await world.organization(real.id)
    assert await world.access.organizations.find(real.id) == real


async def test_missing_ones_are_not_found(world: World) -> None:
    organizations = world.access.organizations
    for attempt in (
        organizations.get("org-missing"),
        organizations.find("missing"),
        organizations.update("org-missing", name="b", by=None),
    ):
        with pytest.raises(NotFound, match=r"^There is no such organization\.$"):
            await attempt


async def test_names_are_unique(world: World) -> None:
    organizations = world.access.organizations
    acme, other = await world.organization("acme"), await world.organization("other")
    for attempt in (
        organizations.create("acme", by=None),
        organizations.update(other.id, name="acme", by=None),
        organizations.create("a\nb", by=None),
        organizations.update(other.id, name="", by=None),
    ):
        with pytest.raises(InvalidRequest) as caught:
            await attempt
        assert caught.value.param == "name"
    assert (await organizations.update(acme.id, name="acme", by=None)).name == "acme"


async def test_the_default_organization_keeps_its_name(world: World) -> None:
    organizations = world.access.organizations
    default = await organizations.ensure_default()
    with pytest.raises(InvalidRequest, match="keeps its name"):
        await organizations.update(default.id, name="acme", by=None)
    assert (await organizations.update(default.id, prepaid=True, by=None)).prepaid


async def test_all_who_start_at_once_get_the_same_default(world: World) -> None:
    found = await asyncio.gather(*(world.access.organizations.ensure_default() for _ in range(6)))
    assert len({organization.id for organization in found}) == 1


async def test_they_are_listed_in_pages(world: World) -> None:
    made = []
    for number in range(3):
        world.wall += 1
        made.append(await world.organization(f"org {number}"))
    first = await world.access.organizations.list(limit=2)
    rest = await world.access.organizations.list(limit=2, after=first.data[-1].id)
    assert first.data + rest.data == made and (first.has_more, rest.has_more) == (True, False)


async def test_changes_are_logged_and_nothing_else_is(world: World) -> None:
    organizations = world.access.organizations
    made = await world.organization()
    by = await world.caller(Realm())
    world.wall += 1
    changed = await organizations.update(made.id, name="b", prepaid=True, by=by)
    assert (changed.name, changed.prepaid) == ("b", True)
    await organizations.update(made.id, by=by)
    [updated, created] = (await world.access.audit.list(made.id)).data
    assert (created.type, created.actor_key_id) == ("organization.created", None)
    assert (updated.type, updated.actor_key_id) == ("organization.updated", by.key_id)
    assert updated.payload == {"id": made.id, "changes_requested": {"name": "b", "prepaid": True}}

"""What began before an erasure and is written after it is erased as well, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.privacy import erased, expiring
from antiphon.privacy.erased import _before
from antiphon.privacy.places import FOLDER
from privacy_house import DAY, House
from tenants import World


@pytest.mark.parametrize("project", [None, "proj_1"])
async def test_what_waited_while_all_was_erased_is_gone_with_its_key(
    any_house: House, project: str | None
) -> None:
    house = any_house
    began = house.item("began before", recording=b"sound")
    elsewhere = house.item("elsewhere", organization_id="org-2", project_id="proj_9")
    others = [elsewhere, house.item("other", project_id="proj_2")]
    house.now += 40
    assert await house.database.run(lambda c: expiring.erase(c, "org-1", house.now, project)) == 0
    house.now += 1
    await house.keep(began, *others, house.item("after"))
    # At once, before any purge.
    assert len(await house.content.find("org-1", house.now)) == (2 if project else 1)
    used = {row.sealed_with for row in await house.rows() if row.cause == "erased"}
    body = await house.purged()
    assert body is not None
    assert {(one.cause, one.kind) for one in body.deleted if one.cause != "retired"} >= {
        ("erased", "chat"),
        ("erased", "recording"),
    }
    assert used and not used & (await house.secrets()).keys()
    kept = [*await house.content.find("org-1", house.now), *await house.content.find("org-2", house.now)]
    texts = {one.asked for one in kept}
    assert texts == {b'{"asked":"elsewhere"}', b'{"asked":"after"}'} | (
        {b'{"asked":"other"}'} if project else set()
    )
    assert [path for path in (house.home / FOLDER).rglob("*") if path.is_file()] == []


async def test_the_last_erasure_counts(house: House) -> None:
    for _ in range(2):
        began = house.item()
        house.now += DAY
        await house.database.run(lambda c: expiring.erase(c, "org-1", house.now))
    await house.keep(began)
    assert await house.content.find("org-1", house.now) == []


async def test_it_is_known_when_something_of_an_organization_was_erased(world: World) -> None:
    acme, other = await world.organization("acme"), await world.organization("other")
    shop, shed = await world.project(acme, "shop"), await world.project(other, "shed")

    async def last() -> int:
        return await world.database.run(lambda c: erased.last(c, acme.id))

    assert await last() == 0
    for scope, at, found in ((shed.id, 40, 0), (other.id, 40, 0), (shop.id, 50, 50), (acme.id, 45, 50)):
        await world.database.run(lambda c, s=scope, t=at: erased.note(c, s, t))
        assert await last() == found


@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9))
def test_either_scope_is_enough(began: int, organization: int, project: int) -> None:
    row = {"created_at": began, "organization_id": "org-1", "project_id": "proj_1"}
    assert _before(row, {"org-1": organization, "proj_1": project}) == (began <= max(organization, project))
    assert not _before(row, {"org-2": 10, "proj_2": 10})

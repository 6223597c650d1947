"""A policy that is shortened holds for what is there, and destroys its keys; a longer one changes nothing."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from antiphon.privacy import expiring
from antiphon.privacy.content import opened
from antiphon.privacy.days import day_of
from antiphon.privacy.keys import Key
from antiphon.privacy.sealing import Unreadable
from antiphon.storage.content_tables import content_key
from privacy_house import DAY, House


async def shorten(house: House, days: int, project: str | None = None, **options: Any) -> None:
    work = partial(expiring.shorten, organization_id="org-1", project_id=project, days=days, now=house.now)
    await house.database.run(partial(work, **options))


async def test_what_is_there_expires_earlier_and_its_old_key_is_destroyed_at_once(any_house: House) -> None:
    house = any_house
    await house.keep(house.item("first", recording=b"sound"))
    before = await house.rows()
    old = await house.secrets()
    house.now += 3 * DAY
    await house.keep(house.item("second", days=5))
    await shorten(house, 7)
    body = await house.purged()
    first, second = await house.content.find("org-1", house.now)
    assert [b"first" in first.asked, b"second" in second.asked] == [True, True]
    assert first.row.expires_at == first.row.created_at + 7 * DAY and first.row.days == 7
    assert second.row.expires_at == second.row.created_at + 5 * DAY and second.row.days == 5
    assert b"".join([piece async for piece in house.content.recording(first.row)]) == b"sound"
    # A copy from before opens with nothing that there is.
    assert not old.keys() & (await house.secrets()).keys()
    for id, secret in (await house.secrets()).items():
        with pytest.raises(Unreadable):
            opened(before[0], Key(id, "", secret))
    assert body is not None and [(one.cause, one.kind) for one in body.deleted] == [("retired", "key")]


async def test_what_is_too_old_by_the_new_policy_is_gone(house: House) -> None:
    await house.keep(house.item("old"))
    house.now += 8 * DAY
    await house.keep(house.item("new"))
    await shorten(house, 7)
    [kept] = await house.content.find("org-1", house.now)  # at once, before any purge
    assert b"new" in kept.asked
    body = await house.purged()
    assert body is not None
    assert ("shortened", 7, "chat", 1) in [
        (one.cause, one.policy_days, one.kind, one.number) for one in body.deleted
    ]
    assert len(await house.rows()) == 1


async def test_nothing_expires_later_by_a_longer_policy(house: House) -> None:
    await house.keep(house.item(days=7))
    before, names = await house.rows(), await house.rows(content_key)
    await shorten(house, 30)
    assert await house.purged() is None
    assert (await house.rows(), await house.rows(content_key)) == (before, names)


async def test_others_stay_as_they_are_but_for_their_key(any_house: House) -> None:
    house = any_house
    await house.keep(
        house.item("mine"),
        house.item("other project", project_id="proj_2"),
        house.item("third", project_id="proj_3"),
        house.item("stored", stored=True, metadata={}),
        house.item("elsewhere", organization_id="org-2"),
    )
    old = await house.secrets()
    await shorten(house, 7, but=["proj_2", "proj_3"])
    await shorten(house, 7, "proj_3")
    await house.purged()
    kept = [*await house.content.find("org-1", house.now), *await house.content.find("org-2", house.now)]
    assert [(one.row.expires_at - one.row.created_at) // DAY for one in kept] == [7, 30, 7, 30, 30]
    assert len(old.keys() & (await house.secrets()).keys()) == 1  # that of the other organization
    await shorten(house, 7, stored=True)  # what was stored, and the other project's
    assert {row.day for row in await house.rows(content_key)} >= {day_of(house.now + 7 * DAY)}


async def test_zero_days_leave_nothing(house: House) -> None:
    await house.keep(house.item(), house.item(stored=True, metadata={}))
    await shorten(house, 0, stored=True)
    await house.purged()
    assert await house.rows() == [] and await house.secrets() == {}


async def test_what_is_erased_is_gone_with_every_key(any_house: House) -> None:
    house = any_house
    await house.keep(*(house.item(days=days) for days in (1, 7, 30)), house.item(organization_id="org-2"))
    assert await house.database.run(lambda c: expiring.erase(c, "org-1", house.now)) == 3
    assert await house.content.find("org-1", house.now) == []
    body = await house.purged()
    assert body is not None
    assert [(one.organization, one.cause, one.policy_days, one.kind, one.number) for one in body.deleted] == [
        ("org-1", "erased", -1, "chat", 3),
        ("org-1", "retired", -1, "key", 3),
    ]
    assert [row.organization_id for row in await house.rows()] == ["org-2"]
    assert len(await house.secrets()) == 1


@pytest.mark.parametrize("project", [None, "proj_1"])
async def test_keys_of_what_was_deleted_before_are_destroyed_too(house: House, project: str | None) -> None:
    """Nothing is under them, and backups hold what they open."""
    one = house.item(recording=b"sound")
    await house.keep(one, house.item("elsewhere", organization_id="org-2"))
    await house.database.run(lambda c: expiring.delete(c, "org-1", [one.id], house.now))
    await house.purged()
    await house.database.run(lambda c: expiring.erase(c, "org-1", house.now, project))
    await house.purged()
    assert [row.organization_id for row in await house.rows(content_key)] == ["org-2"]
    assert len(await house.secrets()) == 1


async def test_a_project_can_be_erased_alone(house: House) -> None:
    await house.keep(house.item("mine"), house.item("other", project_id="proj_2"))
    old = await house.secrets()
    assert await house.database.run(lambda c: expiring.erase(c, "org-1", house.now, "proj_1")) == 1
    await house.purged()
    [kept] = await house.content.find("org-1", house.now)
    assert b"other" in kept.asked and not old.keys() & (await house.secrets()).keys()


async def test_single_rows_are_deleted_for_their_owner_alone(house: House) -> None:
    one, other = house.item("one"), house.item("other")
    await house.keep(one, other)
    assert await house.database.run(lambda c: expiring.delete(c, "org-2", [one.id], house.now)) == 0
    assert await house.database.run(lambda c: expiring.delete(c, "org-1", [one.id], house.now)) == 1
    body = await house.purged()
    assert body is not None and [(it.cause, it.kind, it.number) for it in body.deleted] == [
        ("deleted", "chat", 1)
    ]
    [kept] = await house.content.find("org-1", house.now)
    assert kept.row.id == other.id

"""What is kept is read as it was by whom it belongs to, and by nobody from the database alone."""

from __future__ import annotations

import pytest
from sqlalchemy import insert, update

from antiphon.errors import Unavailable
from antiphon.privacy import expiring
from antiphon.privacy.days import day_of
from antiphon.privacy.places import FOLDER
from antiphon.privacy.sealing import Unreadable
from antiphon.storage.content_tables import content, content_key
from antiphon.storage.tables import data_retention
from privacy_house import DAY, House

CANARY = "canary-7c1f"


async def test_it_is_read_as_it_was(any_house: House) -> None:
    house = any_house
    recording = b"RIFF" + bytes(200_000)
    item = house.item(
        CANARY, recording=recording, stored=True, completion_id="chatcmpl-1", metadata={"a": "b"}
    )
    await house.keep(item, house.item("other"))
    first, second = await house.content.find("org-1", house.now)
    assert (first.asked, first.answered, first.metadata) == (item.asked, item.answered, {"a": "b"})
    assert first.row.completion_id == "chatcmpl-1" and first.row.whole and first.row.stored
    assert b"".join([piece async for piece in house.content.recording(first.row)]) == recording
    assert second.metadata is None and second.row.recording is None
    assert await house.content.find("org-2", house.now) == []
    [only] = await house.content.find("org-1", house.now, content.c.stored)
    assert only.row.id == item.id


async def test_nothing_of_it_lies_in_the_clear(house: House) -> None:
    item = house.item(CANARY, recording=CANARY.encode() * 10_000, stored=True, metadata={"a": CANARY})
    await house.keep(item)
    assert item.recording is not None
    item.recording.unlink()
    [row] = await house.rows()
    values = b"".join(value if isinstance(value, bytes) else str(value).encode() for value in row)
    assert CANARY.encode() not in values
    files = [path for path in house.home.rglob("*") if path.is_file()]
    assert any(path.parent.parent.name == FOLDER for path in files)
    assert [path for path in files if CANARY.encode() in path.read_bytes()] == []


async def test_it_is_under_the_key_of_the_day_on_which_it_expires(house: House) -> None:
    await house.keep(house.item(days=1), house.item(days=30), house.item(days=30))
    names = {row.id: row.day for row in await house.rows(content_key)}
    assert [names[row.sealed_with] for row in await house.rows()] == [
        day_of(row.expires_at) for row in await house.rows()
    ]
    assert sorted(names.values()) == [day_of(house.now + DAY), day_of(house.now + 30 * DAY)]


async def test_what_has_expired_is_not_read_even_before_it_is_deleted(house: House) -> None:
    await house.keep(house.item(days=1))
    house.now += DAY - 1
    assert len(await house.content.find("org-1", house.now)) == 1
    house.now += 1
    assert await house.content.find("org-1", house.now) == []


async def test_a_row_given_to_somebody_else_is_unreadable(house: House) -> None:
    await house.keep(house.item(CANARY))
    async with house.database.begin() as connection:
        await connection.execute(update(content).values(organization_id="org-2"))
    with pytest.raises(Unreadable):
        await house.content.find("org-2", house.now)


async def test_what_no_key_opens_any_more_is_gone(house: House) -> None:
    await house.keep(house.item("lost", days=1, stored=True, metadata={}), house.item("there"))
    [lost, there] = await house.rows()
    await house.keys.destroy([lost.sealed_with])
    assert [one.row.id for one in await house.content.find("org-1", house.now)] == [there.id]
    assert not await house.content.set_metadata(lost, {"a": "b"})


async def test_what_is_moved_after_its_row_was_read_is_read_where_it_is(any_house: House) -> None:
    house = any_house
    await house.keep(house.item("mine"), house.item("other", project_id="proj_2"))
    rows = [row for row in await house.rows() if row.project_id == "proj_2"]
    await house.database.run(lambda c: expiring.erase(c, "org-1", house.now, "proj_1"))
    await house.purged()
    [kept] = await house.content.read(rows)
    assert b"other" in kept.asked and kept.row.sealed_with != rows[0].sealed_with


async def test_metadata_can_be_given_anew(house: House) -> None:
    await house.keep(house.item(stored=True, metadata={"a": "b"}))
    [kept] = await house.content.find("org-1", house.now)
    assert await house.content.set_metadata(kept.row, {"c": CANARY})
    [kept] = await house.content.find("org-1", house.now)
    assert kept.metadata == {"c": CANARY}
    house.now += 31 * DAY
    await house.purged()
    house.keys._known[kept.row.sealed_with] = await house.keys.current("org-1", "2027-06-01")
    assert not await house.content.set_metadata(kept.row, {})


async def test_a_key_that_was_retired_meanwhile_is_replaced(any_house: House) -> None:
    house = any_house
    await house.keep(house.item())
    async with house.database.begin() as connection:
        await connection.run_sync(expiring.shorten, "org-1", None, 7, house.now)
    await house.keep(house.item("second", recording=b"sound"))  # with the old key in memory
    first, second = await house.content.find("org-1", house.now)
    assert first.row.sealed_with != second.row.sealed_with
    assert b"".join([piece async for piece in house.content.recording(second.row)]) == b"sound"
    recordings = [path for path in (house.home / FOLDER).rglob("*") if path.is_file()]
    assert len(recordings) == 1  # the one under the retired key is not left behind


async def test_it_does_not_try_for_ever(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.keep(house.item())
    async with house.database.begin() as connection:
        await connection.execute(update(content_key).values(current=None))
    monkeypatch.setattr(house.keys, "forget", lambda *_, **__: None)
    with pytest.raises(Unavailable):
        await house.keep(house.item())


@pytest.mark.parametrize("days", [0, 1, 30])
async def test_a_policy_that_became_stricter_meanwhile_holds(any_house: House, days: int) -> None:
    house = any_house
    strict = {"scope": "org-1", "type": "none", "days": days, "stores": False, "updated_at": 1}
    async with house.database.begin() as connection:
        await connection.execute(insert(data_retention).values(strict))
    await house.keep(house.item(days=30), house.item(days=1))
    house.now += DAY - 1
    assert len(await house.content.find("org-1", house.now)) == (2 if days else 0)
    house.now += 2 * DAY
    assert len(await house.content.find("org-1", house.now)) == (1 if days > 3 else 0)

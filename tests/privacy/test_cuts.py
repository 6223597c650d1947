"""What is to expire earlier does so at once for readers, and in small parts for writers, even killed ones."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from sqlalchemy import event, select

from antiphon.privacy import cuts, expiring
from antiphon.privacy.library import Library
from antiphon.privacy.stored import Which
from antiphon.storage.content_tables import content, content_cut, content_key
from privacy_house import DAY, House, Killed

_ANY = Which()


async def readable(house: House) -> list[str]:
    async with house.database.connect() as connection:
        live = await connection.run_sync(cuts.live, "org-1", house.now)
        return list(await connection.scalars(select(content.c.id).where(*live).order_by(content.c.id)))


async def note(house: House, days: int, project_id: str | None = None, cause: str = "shortened") -> None:
    await house.database.run(lambda c: cuts.note(c, "org-1", project_id, days, cause, house.now))


async def test_readers_follow_what_is_noted_and_no_row_is_written_for_it(any_house: House) -> None:
    house = any_house
    stored: dict[str, Any] = {"stored": True, "metadata": {}}
    old, shelved = house.item("old"), house.item("shelved", completion_id="chatcmpl-1", **stored)
    other = house.item("other", project_id="proj_2")
    await house.keep(old, shelved, other)
    house.now += 8 * DAY
    new = house.item("new")
    await house.keep(new)
    before = await house.rows()
    shorten = partial(expiring.shorten, organization_id="org-1", project_id=None, days=7, now=house.now)
    await house.database.run(partial(shorten, but=["proj_2"]))
    assert await readable(house) == [shelved.id, other.id, new.id]
    assert [one.row.id for one in await house.content.find("org-1", house.now)] == await readable(house)
    assert await house.rows() == before and (await house.rows(content_key))[0].current
    await note(house, 7, "proj_1")
    assert await readable(house) == [other.id, new.id]
    found = await Library(house.database, house.content, lambda: house.now).list(
        "org-1", "proj_1", _ANY, after=None, limit=5
    )
    assert found.found == []
    house.now += 7 * DAY
    assert await readable(house) == [other.id]
    await house.purged()
    assert [row.id for row in await house.rows()] == [other.id] and await house.rows(content_cut) == []


async def test_each_transaction_is_small_and_one_that_was_killed_is_gone_on_with(
    any_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = any_house
    monkeypatch.setattr(cuts, "MOST", 2)
    items = [house.item() for _ in range(5)]
    await house.keep(*items)
    await note(house, 7)
    changed: list[int] = []
    for done in (2, 4, 5):
        assert await house.database.run(lambda c: cuts.step(c, house.now))
        changed.append(sum(row.days == 7 for row in await house.rows()))
        assert changed[-1] == done
    assert await house.rows(content_cut) == []
    assert not await house.database.run(lambda c: cuts.step(c, house.now))
    await note(house, 0)
    house.dies_at = "rows"
    with pytest.raises(Killed):
        await house.purged()
    house.dies_at, house.now = "", house.now + 301  # whoever takes over waits for the lease
    assert house.steps.count("cut") == 4
    await house.purged()
    assert await house.rows() == [] and await house.secrets() == {}


async def test_a_part_is_bounded_in_bytes_too(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuts, "MOST_BYTES", 1)
    await house.keep(house.item(), house.item())
    await note(house, 7)
    await house.database.run(lambda c: cuts.step(c, house.now))
    assert [row.days for row in await house.rows()] == [7, 30]
    await house.database.run(lambda c: cuts.step(c, house.now))
    assert [row.days for row in await house.rows()] == [7, 7]


async def test_a_note_writes_one_row_however_much_is_kept(house: House) -> None:
    await house.keep(*(house.item() for _ in range(300)))
    written: list[str] = []

    def work(connection: object) -> None:
        event.listen(connection, "before_cursor_execute", lambda *a: written.append(a[2]))
        cuts.note(connection, "org-1", None, 1, "shortened", house.now)  # type: ignore[arg-type]

    await house.database.run(work)
    changes = [words.split()[:3] for words in written if not words.startswith("SELECT")]
    assert [words for words in changes if words != ["DELETE", "FROM", "content_cut"]] == [
        ["INSERT", "INTO", "content_cut"]
    ]


async def test_nothing_expires_later_by_a_note_that_comes_later(any_house: House) -> None:
    house = any_house
    await house.keep(house.item())
    await note(house, 7)
    await note(house, 30)
    assert [row.days for row in await house.rows(content_cut)] == [7]
    await house.purged()
    assert [row.days for row in await house.rows()] == [7]


async def test_one_note_stands_for_all_that_it_covers(house: House) -> None:
    await house.keep(house.item(), house.item(project_id="proj_2"))
    await note(house, 7)
    await note(house, 5, "proj_2")
    began = int(house.now)
    house.now += 50
    await note(house, 3)
    await note(house, 3)
    found = await house.rows(content_cut)
    assert sorted((row.project_id or "", row.days, row.noted_at) for row in found) == [
        ("", 3, began),
        ("proj_2", 5, began),
    ]
    await house.database.run(lambda c: expiring.erase(c, "org-1", house.now))
    assert await readable(house) == []
    await house.purged()
    assert await house.rows() == []


async def test_what_comes_after_an_erasure_stays(any_house: House) -> None:
    house = any_house
    await house.keep(house.item("before"))
    assert await house.database.run(lambda c: expiring.erase(c, "org-1", house.now)) == 1
    assert await house.database.run(lambda c: expiring.erase(c, "org-1", house.now)) == 0
    house.now += 1
    after = house.item("after")
    await house.keep(after)
    await house.purged()
    assert [row.id for row in await house.rows()] == [after.id] == await readable(house)


async def test_what_is_noted_and_not_done_is_late(house: House) -> None:
    await house.keep(house.item())
    await note(house, 7)
    house.now += 4000
    assert await house.purge().late() == 4000
    await house.purged()
    assert await house.purge().late() == 0

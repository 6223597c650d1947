"""What is kept is read as it was by whom it belongs to, and by nobody from the database alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, insert, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from antiphon.access.access import build
from antiphon.errors import StorageFull, Unavailable
from antiphon.privacy import cuts, expiring
from antiphon.privacy.content import Item
from antiphon.privacy.days import day_of
from antiphon.privacy.places import FOLDER
from antiphon.privacy.policies import Policies
from antiphon.privacy.sealing import Unreadable
from antiphon.storage.content_tables import content, content_cut, content_key
from antiphon.storage.tables import data_retention
from privacy_house import DAY, House
from tenants import PEPPER

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
        await connection.run_sync(cuts.step, house.now)
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


def recordings(house: House) -> list[Path]:
    return [path for path in (house.home / FOLDER).rglob("*") if path.is_file()]


async def test_what_could_not_be_kept_leaves_no_recording(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = house.item(recording=b"first")
    await house.keep(taken)
    with pytest.raises(IntegrityError):
        await house.keep(taken, house.item(recording=b"second"))
    assert len(recordings(house)) == 1
    put = house.place.put

    def full(name: str, pieces: Iterable[bytes]) -> None:
        if len(recordings(house)) == 2:
            raise StorageFull("There is no space left to store this.")
        put(name, pieces)

    monkeypatch.setattr(house.place, "put", full)
    with pytest.raises(StorageFull):
        await house.keep(house.item(recording=b"third"), house.item(recording=b"fourth"))
    [kept] = await house.content.find("org-1", house.now)
    assert len(recordings(house)) == 1
    assert b"".join([piece async for piece in house.content.recording(kept.row)]) == b"first"


@pytest.mark.parametrize("committed", [False, True])
async def test_recordings_of_what_was_perhaps_kept_go_once_it_is_known(
    house: House, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    run, connect = house.database.run, house.database.connect

    @asynccontextmanager
    async def away() -> AsyncIterator[AsyncConnection]:
        raise Unavailable("The database cannot be used at the moment.")
        yield

    async def lost(work: Callable[[Connection], object]) -> None:
        if committed:
            await run(work)
        monkeypatch.setattr(house.database, "connect", away)
        raise Unavailable("The database cannot be used at the moment.")

    house.keys._known.clear()
    item = house.item(recording=b"sound")
    await house.keys.current("org-1", day_of(item.expires_at))
    monkeypatch.setattr(house.database, "run", lost)
    for _ in range(3):
        with pytest.raises(Unavailable):
            await house.keep(item)
    monkeypatch.setattr(house.database, "run", run)
    monkeypatch.setattr(house.database, "connect", connect)
    assert len(recordings(house)) == 1  # not one for each try
    await house.keep(house.item("next"))
    assert len(recordings(house)) == committed


async def test_what_runs_while_the_policy_becomes_zero_is_never_written(
    any_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house, words = any_house, list[str]()

    def note(*told: Any) -> None:
        words.append(told[2])

    strict = {"scope": "proj_1", "type": "zero_data_retention", "days": 0, "stores": False, "updated_at": 1}
    allowed = house.content._allowed

    async def before_it_changes(items: Sequence[Item]) -> list[Item]:
        found = await allowed(items)
        if not words:
            async with house.database.begin() as connection:
                await connection.execute(insert(data_retention).values(strict))
            event.listen(Engine, "before_cursor_execute", note)
        return found

    monkeypatch.setattr(house.content, "_allowed", before_it_changes)
    try:
        other = house.item("other", project_id="proj_2")
        await house.keep(house.item(recording=b"sound"), house.item(stored=True, metadata={}), other)
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert [row.id for row in await house.rows()] == [other.id] and recordings(house) == []
    assert len([said for said in words if said.startswith("INSERT INTO content ")]) == 1


async def test_what_is_to_be_stored_is_where_nothing_else_is_kept(house: House) -> None:
    monitored = {"scope": "org-1", "type": "modified_abuse_monitoring", "days": 0, "stores": True}
    async with house.database.begin() as connection:
        await connection.execute(insert(data_retention).values(monitored | {"updated_at": 1}))
    stored = house.item(stored=True, metadata={})
    await house.keep(stored, house.item("running"))
    [row] = await house.rows()
    assert (row.id, row.days) == (stored.id, 30) and await house.rows(content_cut) == []


async def test_a_policy_waits_for_what_is_written_and_finds_it(any_house: House) -> None:
    house = any_house
    organization = await build(house.database, PEPPER).organizations.create("acme", by=None)
    policies = Policies(house.database, lambda: house.now, expiring.shorten)
    fields: dict[str, Any] = {"organization_id": organization.id}
    setting = partial(policies.set, organization.id, None, "zero_data_retention", by=None)
    await asyncio.gather(*(house.keep(house.item(**fields)) for _ in range(5)), setting())
    assert await house.content.find(organization.id, house.now) == []
    await house.purged()
    assert await house.rows() == []


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

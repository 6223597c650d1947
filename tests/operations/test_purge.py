"""The purge deletes on time and to the end, wherever it is killed, and says what it did."""

from __future__ import annotations

import asyncio
import logging
import shutil
import threading
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, select, text

from antiphon.errors import Unavailable
from antiphon.operations.purge import (
    AGAIN_SECONDS,
    GIVE_UP_SECONDS,
    LATE_SECONDS,
    LEASE_SECONDS,
    RECEIPT_SECONDS,
)
from antiphon.operations.webhook import Webhook, load_secret
from antiphon.privacy import expiring, purging
from antiphon.privacy.days import day_of, end_of
from antiphon.privacy.keys import KeyMissing
from antiphon.privacy.places import FOLDER, Folder
from antiphon.privacy.receipts import Body, Count
from antiphon.settings import KEYS_NAME
from antiphon.storage import sqlite, tables
from antiphon.storage.content_tables import sealing_key
from antiphon.storage.database import Database
from privacy_house import DAY, NOON, House, Killed, housed
from receiver import receiving


@pytest.fixture
async def house(tmp_path: Path, migrated_sqlite: Path) -> AsyncIterator[House]:
    """Over SQLite, which is quick to make."""
    url = f"sqlite+aiosqlite:///{shutil.copy(migrated_sqlite, tmp_path / 'antiphon.db')}"
    async with Database(url) as database, housed(tmp_path, database, url) as house:
        yield house


@pytest.fixture
async def any_house(tmp_path: Path, database: Database, database_url: str) -> AsyncIterator[House]:
    """Over each kind of database."""
    async with housed(tmp_path, database, database_url) as house:
        yield house


def files(house: House) -> list[Path]:
    return [path for path in (house.home / FOLDER).rglob("*") if path.is_file()]


def totals(bodies: Iterable[Body]) -> dict[tuple[str, str, int, str], int]:
    sums: dict[tuple[str, str, int, str], int] = {}
    for one in (count for body in bodies for count in body.deleted):
        place = (one.organization, one.cause, one.policy_days, one.kind)
        sums[place] = sums.get(place, 0) + one.number
    return sums


async def test_what_has_expired_is_gone_and_its_key_when_the_day_is_over(any_house: House) -> None:
    house = any_house
    await house.keep(
        house.item(days=1, recording=b"sound"), house.item(days=2), house.item(days=1, kind="embedding")
    )
    assert await house.purged() is None and len(await house.rows()) == 3
    house.now += DAY
    body = await house.purged()
    assert body is not None and body.deleted == [
        Count("org-1", "expired", 1, "chat", 1),
        Count("org-1", "expired", 1, "embedding", 1),
        Count("org-1", "expired", 1, "recording", 1),
    ]
    assert len(await house.rows()) == 1 and files(house) == []
    assert len(await house.secrets()) == 2  # until the end of the day, for what expires later on it
    house.now = end_of(day_of(house.now))
    body = await house.purged()
    assert body is not None and body.deleted == [Count("org-1", "expired", -1, "key", 1)]
    [secret] = (await house.secrets()).keys()
    assert secret == (await house.rows())[0].sealed_with
    assert [receipt.body.began_at for receipt in await house.receipts()] == [NOON + DAY, body.began_at]


STEPS = ("recordings", "rows", "names", "keys", "destroyed", "move", "moved", "leave", "sign", "sweep")


@pytest.mark.parametrize("step", STEPS)
async def test_one_that_is_killed_is_taken_up_by_another(house: House, step: str) -> None:
    """Something to be deleted, something to be moved under another key, and a key whose day is over."""
    await house.keep(
        house.item("over", days=1, recording=b"sound"),
        house.item("erased", days=30, recording=b"sound", project_id="proj_2"),
        house.item("stays", days=30, recording=b"stays"),
    )
    old = await house.secrets()
    house.now += 2 * DAY
    await house.database.run(lambda c: expiring.erase(c, "org-1", house.now, "proj_2"))
    house.dies_at = step
    with pytest.raises(Killed):
        await house.purged()
    assert step in house.steps
    house.dies_at = ""
    await house.purged()
    [kept] = await house.content.find("org-1", house.now)
    assert b"stays" in kept.asked
    assert b"".join([piece async for piece in house.content.recording(kept.row)]) == b"stays"
    assert not old.keys() & (await house.secrets()).keys() and len(await house.secrets()) == 1
    assert await house.rows(tables.content_key_end) == []
    # At most what the kill left behind, which the sweep takes with its day, and nothing can read.
    assert len(files(house)) <= 2
    assert totals(one.body for one in await house.receipts()) == {
        ("org-1", "expired", 1, "chat"): 1,
        ("org-1", "expired", 1, "recording"): 1,
        ("org-1", "expired", -1, "key"): 1,
        ("org-1", "erased", -1, "chat"): 1,
        ("org-1", "erased", -1, "recording"): 1,
        ("org-1", "retired", -1, "key"): 1,
    }
    house.now += 40 * DAY
    await house.purged()
    assert files(house) == [] and await house.rows() == [] and await house.secrets() == {}


async def test_what_this_machine_has_besides_goes_whatever_becomes_of_the_rest(house: House) -> None:
    """Each time, also where another process purges; and what fails there keeps nothing from being deleted."""
    asked = []

    async def beside() -> None:
        asked.append(len(await house.rows()))
        if len(asked) == 2:
            raise PermissionError("It may not be deleted.")

    await house.keep(house.item(days=1))
    house.now += DAY
    purge, other = house.purge(beside=beside), house.purge()
    assert await house.database.run(other._take)
    with pytest.raises(Unavailable, match="Another process is purging"):
        await purge.look(sign=True)
    house.now += LEASE_SECONDS
    with pytest.raises(PermissionError):
        await purge.look()
    assert asked == [1, 0]


async def test_one_process_purges_at_a_time(any_house: House) -> None:
    house = any_house
    await house.keep(house.item(days=1))
    house.now += DAY
    first, second = house.purge(), house.purge()
    assert await house.database.run(first._take)
    assert await second.look() is None and len(await house.rows()) == 1
    with pytest.raises(Unavailable, match="Another process is purging"):
        await second.look(sign=True)
    house.now += LEASE_SECONDS  # the first is dead
    assert await second.look(sign=True) is not None and await house.rows() == []


async def test_one_that_was_frozen_deletes_nothing_after_another_has_taken_over(house: House) -> None:
    await house.keep(house.item(days=1))
    house.now += DAY
    frozen = house.purge()
    assert await house.database.run(frozen._take)
    house.now += LEASE_SECONDS
    assert await house.database.run(house.purge()._take)
    with pytest.raises(Unavailable, match="has taken over"):
        await frozen._rows()
    assert len(await house.rows()) == 1


async def test_a_receipt_is_signed_once_an_hour(house: House) -> None:
    for number in range(3):
        await house.keep(house.item(days=1, expires_at=NOON + 60 * (number + 1)))
    purge, signed = house.purge(), []
    for step in range(9):
        house.now = NOON + RECEIPT_SECONDS / 6 * step
        if body := await purge.look():
            signed.append(body)
    assert [totals([body]) for body in signed] == [{("org-1", "expired", 1, "chat"): 3}]


async def test_a_key_is_not_taken_for_destroyed_while_files_hold_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads from the store of keys keeps its log alive, and in there is the key."""
    monkeypatch.setattr(sqlite, "_FORGET_SECONDS", 0.1)
    await house.keep(house.item(days=1))
    [secret] = (await house.secrets()).values()
    house.now += 2 * DAY

    def held() -> bool:
        return any(secret in path.read_bytes() for path in house.home.glob(f"{KEYS_NAME}*"))

    async with house.keys._store.connect() as reader:
        await reader.execute(select(sealing_key))
        with pytest.raises(Unavailable):
            await house.purged()
        assert len(await house.rows(tables.content_key_end)) == 1 and await asyncio.to_thread(held)
        assert await house.purge().late() == 0
        house.now += 60
        assert await house.purge().late() == 60
    await house.purged()
    assert await house.rows(tables.content_key_end) == [] and not await asyncio.to_thread(held)


async def test_more_than_one_transaction_takes_is_deleted_too(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purging, "MOST", 3)
    await house.keep(*(house.item(days=1, organization_id=f"org-{number}") for number in range(8)))
    house.now += 2 * DAY
    body = await house.purged()
    assert await house.rows() == [] and await house.secrets() == {}
    assert body is not None and sum(one.number for one in body.deleted) == 16


async def test_what_was_made_of_content_goes_with_it(house: House) -> None:
    gone: list[str] = []

    def clear(connection: Connection, ids: Sequence[str]) -> None:
        assert connection.execute(text("select 1")).scalar() == 1
        gone.extend(ids)

    old, new = house.item(days=1), house.item(days=2)
    await house.keep(old, new)
    house.now += DAY
    await house.purge(derived=[clear]).look()
    assert gone == [old.request_id]


async def test_a_key_that_nothing_was_ever_named_under_goes_too(house: House) -> None:
    """As it is left behind by a process that was killed between the key and its name, or lost a race."""
    await house.keys.current("org-1", "2026-11-27")
    await house.database.run(lambda c: c.execute(tables.content_key.delete()))
    assert await house.purged() is None
    assert await house.secrets() == {} and await house.rows(tables.content_key_end) == []


class Away(Folder):
    """Storage that cannot be used for now, but to put something there."""

    away = True

    def pieces(self, name: str) -> Iterator[bytes]:
        self._check()
        return super().pieces(name)

    def delete(self, names: Sequence[str]) -> None:
        if names:
            self._check()
        super().delete(names)

    def sweep(self, before: str) -> None:
        self._check()
        super().sweep(before)

    def _check(self) -> None:
        if self.away:
            raise OSError("S3 cannot be used: EndpointConnectionError")


async def test_recordings_that_cannot_be_deleted_keep_no_key_alive(
    tmp_path: Path, database: Database, database_url: str
) -> None:
    place = Away(tmp_path)
    async with housed(tmp_path, database, database_url, place) as house:
        await house.keep(
            house.item(days=1, recording=b"sound"), house.item(days=1), house.item(days=2, recording=b"x")
        )
        house.now += DAY
        with pytest.raises(OSError, match="S3"):
            await house.purged()
        [left, _] = await house.rows()  # it is known there that a recording is to be deleted
        assert left.recording is not None and len(files(house)) == 2
        house.now += DAY
        with pytest.raises(OSError, match="S3"):
            await house.purged()
        assert [row.days for row in await house.rows()] == [2]
        assert len(await house.secrets()) == 1
        place.away = False
        await house.purged()
        assert files(house) == [] and await house.rows() == []


async def test_storage_that_is_away_keeps_nothing_from_being_erased(
    tmp_path: Path, database: Database, database_url: str
) -> None:
    """The sweep deletes the recording when its day is over; until then nothing opens it."""
    place = Away(tmp_path)
    async with housed(tmp_path, database, database_url, place) as house:
        await house.keep(house.item("mine", recording=b"sound"))
        await house.keep(*(house.item("other", organization_id="org-2", recording=b"x") for _ in range(5)))
        await house.keep(house.item("no sound", organization_id="org-2", project_id="proj_2"))
        await house.database.run(lambda c: expiring.erase(c, "org-1", house.now))
        await house.database.run(lambda c: expiring.erase(c, "org-2", house.now, "proj_2"))
        with pytest.raises(OSError, match="S3"):
            await house.purged()
        # What has to be read to be moved keeps its key, and is waited for.
        assert {row.organization_id for row in await house.rows()} == {"org-2"}
        assert len(await house.secrets()) == 1
        assert totals(one.body for one in await house.receipts()) == {
            ("org-1", "erased", -1, "chat"): 1,
            ("org-1", "erased", -1, "recording"): 1,
            ("org-1", "retired", -1, "key"): 1,
            ("org-2", "erased", -1, "chat"): 1,
        }
        old = await house.secrets()
        place.away = False
        await house.purged()
        assert len(await house.rows()) == 5 and not old.keys() & (await house.secrets()).keys()
        house.now += 31 * DAY
        await house.purged()
        assert files(house) == []


async def test_a_row_that_cannot_be_moved_keeps_no_other_from_it(any_house: House) -> None:
    """Of some the key is lost, and one was changed."""
    house = any_house
    await house.keep(house.item("lost", days=3, organization_id="org-2", recording=b"sound"))
    await house.keep(
        house.item("changed"), house.item("stays"), house.item("erased", project_id="proj_2", recording=b"x")
    )
    rows = {row.id: row for row in await house.rows()}
    [lost, changed, *_] = [rows[id] for id in sorted(rows)]
    await house.keys.destroy([lost.sealed_with])
    same = tables.content.update().where(tables.content.c.id == changed.id)
    await house.database.run(lambda c: c.execute(same.values(payload=b"changed")))
    old = await house.secrets()
    for organization in ("org-1", "org-2"):
        await house.database.run(lambda c, o=organization: expiring.erase(c, o, house.now, "proj_2"))
    with pytest.raises(KeyMissing, match="set content_keys"):
        await house.purged()  # another machine may have it
    assert not old.keys() & (await house.secrets()).keys() and len(await house.receipts()) == 1
    assert [row.id for row in await house.rows()] == [lost.id, sorted(rows)[2]]
    house.now += GIVE_UP_SECONDS
    await house.purged()
    [kept] = await house.content.find("org-1", house.now)
    assert b"stays" in kept.asked and len(await house.rows()) == 1 and files(house) == []
    sums = totals(one.body for one in await house.receipts())
    assert {place: number for place, number in sums.items() if place[1] == "unreadable"} == {
        ("org-1", "unreadable", -1, "chat"): 1,
        ("org-2", "unreadable", -1, "chat"): 1,
        ("org-2", "unreadable", -1, "recording"): 1,
    }
    assert await house.purge().late() == 0


async def test_a_recording_that_is_damaged_is_given_up_and_its_request_is_not(house: House) -> None:
    await house.keep(house.item("stays", recording=b"sound"), house.item("erased", project_id="proj_2"))
    [file] = files(house)
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    await house.database.run(lambda c: expiring.erase(c, "org-1", house.now, "proj_2"))
    await house.purged()
    [kept] = await house.content.find("org-1", house.now)
    assert b"stays" in kept.asked and kept.row.recording is None and files(house) == []


@pytest.mark.parametrize("change", ["metadata", "erased", "deleted"])
async def test_what_is_changed_while_it_is_moved_stays_changed(any_house: House, change: str) -> None:
    house = any_house
    await house.keep(
        house.item("stays", stored=True, metadata={"a": "b"}, recording=b"x"),
        house.item("erased", project_id="proj_2"),
    )
    await house.database.run(lambda c: expiring.erase(c, "org-1", house.now, "proj_2"))
    purge = house.purge()
    write = purge._written
    changes = 0

    async def meanwhile(*moving: Any) -> bool:
        nonlocal changes
        changes += 1
        if changes > 1:
            pass
        elif change == "metadata":
            [kept] = await house.content.find("org-1", house.now)
            assert await house.content.set_metadata(kept.row, {"c": "d"})
        elif change == "erased":
            await house.database.run(lambda c: expiring.erase(c, "org-1", house.now, "proj_1"))
        else:
            ids = [row.id for row in await house.rows()]
            await house.database.run(lambda c: expiring.delete(c, "org-1", ids, house.now))
        return await write(*moving)

    purge._written = meanwhile  # type: ignore[method-assign]
    old = await house.secrets()
    house.keys.forget(old)  # or the first try would be under the retired key, and come to nothing
    await purge.look(sign=True)
    if change == "metadata":
        [kept] = await house.content.find("org-1", house.now)
        assert kept.metadata == {"c": "d"} and len(files(house)) == 1
        assert b"".join([piece async for piece in house.content.recording(kept.row)]) == b"x"
    else:
        assert await house.content.find("org-1", house.now) == []
        # It is under its old key for as long as it is there; an erasure, which is only noted yet, takes the
        # new one along.
        if change == "erased":
            old |= await house.secrets()
        assert {row.sealed_with for row in await house.rows()} <= old.keys()
        await house.purged()
        assert await house.rows() == [] and files(house) == []
    assert not old.keys() & (await house.secrets()).keys()


async def test_what_is_deleted_is_not_read_for_it(house: House) -> None:
    await house.keep(house.item(), house.item())
    house.now += 31 * DAY
    ids = [row.id for row in await house.rows()]
    said: list[str] = []

    def work(connection: Connection) -> int:
        event.listen(connection, "before_cursor_execute", lambda *told: said.append(told[2]))
        return purging.delete_rows(connection, ids, [], int(house.now))

    assert await house.database.run(work) == 2
    assert said and not [words for words in said if "payload" in words]


async def late(house: House, seconds: int) -> None:
    await house.keep(house.item(days=1))
    house.now += DAY + seconds


async def test_being_late_is_an_alarm(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    house.now -= 11 * 3600  # the day is long
    async with receiving() as receiver:
        webhook = Webhook(f"{receiver.address}/hook", load_secret(house.home))
        first, second = house.purge(webhook=webhook), house.purge(webhook=webhook)
        await late(house, LATE_SECONDS)
        await first.warn()
        assert receiver.types == [] and await first.late() == LATE_SECONDS
        house.now += 1
        receiver.answers.append(500)
        await first.warn()
        await second.warn()  # it is somebody's business already
        assert len(receiver.messages) == 1
        house.now += 60  # nobody has heard it
        await second.warn()
        await first.warn()
        assert receiver.told(house.home)[-1]["type"] == "data.purge.late"
        assert receiver.told(house.home)[-1]["data"] == {"seconds": LATE_SECONDS + 61}
        house.now += AGAIN_SECONDS
        await first.warn()
        assert len(receiver.messages) == 3
        await first.look()
        assert await first.late() == 0
        house.now += AGAIN_SECONDS
        await first.warn()
        assert len(receiver.messages) == 3
    assert "content that should be gone for 3601 seconds is still there" in caplog.text


async def test_a_key_that_outlives_its_day_is_late_too(house: House) -> None:
    await house.keep(house.item(days=1))
    house.now += DAY
    await house.purged()
    house.now = float(end_of(day_of(house.now)) + 100)
    assert await house.purge().late() == 100
    await house.purged()
    assert await house.purge().late() == 0


async def test_a_retired_key_that_is_not_destroyed_is_late_too(house: House) -> None:
    await house.keep(house.item("stays"), house.item("erased", project_id="proj_2"))
    await house.database.run(lambda c: expiring.erase(c, "org-1", house.now, "proj_2"))
    house.dies_at = "move"
    with pytest.raises(Killed):
        await house.purged()
    house.now += 100
    await house.database.run(lambda c: expiring.erase(c, "org-1", house.now))  # it is so since the first time
    assert await house.purge().late() == 100
    house.dies_at = ""
    await house.purged()
    assert await house.purge().late() == 0


async def test_the_alarm_does_not_wait_for_a_purge_that_hangs(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("antiphon.operations.purge._LOOK", 0.01)
    hangs, entered = threading.Event(), threading.Event()

    def delete(names: Sequence[str]) -> None:
        entered.set()
        assert hangs.wait(30)

    monkeypatch.setattr(house.place, "delete", delete)
    house.now -= 11 * 3600  # the day is long
    await late(house, 0)
    purge = house.purge()
    running = asyncio.gather(purge.run(), purge.watch())
    try:
        async with asyncio.timeout(10):
            assert await asyncio.to_thread(entered.wait, 10)
            house.now += LATE_SECONDS + 1
            while "is still there" not in caplog.text:
                await asyncio.sleep(0.01)
    finally:
        hangs.set()
        running.cancel()
    assert "content that should be gone for 3601 seconds" in caplog.text


async def test_it_goes_on_after_whatever_goes_wrong(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("antiphon.operations.purge._LOOK", 0.01)
    failures = [OSError("the disk is on fire")] * 3
    swept = asyncio.Event()
    loop = asyncio.get_running_loop()

    def sweep(before: str) -> None:
        if failures:
            raise failures.pop()
        loop.call_soon_threadsafe(swept.set)

    monkeypatch.setattr(house.place, "sweep", sweep)
    await late(house, 0)
    running = asyncio.create_task(house.purge().run())
    try:
        async with asyncio.timeout(10):
            await swept.wait()
    finally:
        running.cancel()
    assert await house.rows() == [] and caplog.text.count("the disk is on fire") == 1
    assert await house.database.run(lambda c: c.scalar(select(tables.content_receipt.c.id))) is not None

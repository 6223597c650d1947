"""The journal: durable before anyone is told, in groups, and honest about a disk that fails."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from antiphon.errors import StorageFull, Unavailable
from antiphon.ledger.disk import Disk, RealDisk, Run, WriterThread
from antiphon.ledger.journal import Journal
from antiphon.ledger.records import Record, Void, decode
from simulated_disk import SimulatedDisk, inline

T = TypeVar("T")
FOLDER = "epoch_a"


def record(number: int) -> Record:
    return Void(request_id=f"req_{number}", reason="test", ended_at=number)


@asynccontextmanager
async def writing(disk: Disk, run: Run = inline, **bounds: int) -> AsyncIterator[Journal]:
    disk.create(FOLDER)
    journal = Journal(disk, run, FOLDER, **bounds)
    task = asyncio.create_task(journal.write())
    try:
        yield journal
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def kept(disk: Disk) -> list[Record]:
    return [found for name in disk.files(FOLDER) for found in decode(disk.read(FOLDER, name))]


class Slowly:
    """Runs work only when it is let go: a disk that takes its time."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.begun = asyncio.Event()

    async def __call__(self, work: Callable[[], T]) -> T:
        self.begun.set()
        await self.go.wait()
        return work()


async def test_what_was_acknowledged_survives_a_crash() -> None:
    disk = SimulatedDisk()
    async with writing(disk) as journal:
        added = [await journal.add(record(number)) for number in range(3)]
        assert [found.seq for found in added] == [1, 2, 3]
        disk.crash()
        assert kept(disk) == added == journal.unposted(10)


async def test_a_hundred_at_once_share_a_few_syncs(tmp_path: Path) -> None:
    disk = RealDisk(tmp_path)
    syncs = []
    real, thread = disk.sync, WriterThread()
    disk.sync = lambda *place: (syncs.append(place), real(*place))[1]  # type: ignore[method-assign]
    async with writing(disk, thread) as journal:
        added = await asyncio.gather(*(journal.add(record(number)) for number in range(100)))
        assert sorted(found.seq for found in added) == list(range(1, 101))
        assert 1 <= len(syncs) <= 5
        assert len(kept(disk)) == 100
    thread.close()


async def test_what_comes_during_a_sync_is_the_next_group() -> None:
    disk, slowly = SimulatedDisk(), Slowly()
    async with writing(disk, slowly) as journal:
        first = journal.add(record(0))
        await slowly.begun.wait()
        others = [journal.add(record(number)) for number in range(1, 50)]
        slowly.go.set()
        await asyncio.gather(first, *others)
        assert disk.syncs == 2


async def test_who_stops_waiting_takes_nothing_back() -> None:
    disk, slowly = SimulatedDisk(), Slowly()
    async with writing(disk, slowly) as journal:
        added = journal.add(record(1))

        async def wait() -> None:
            await asyncio.shield(added)

        waiter = asyncio.create_task(wait())
        await slowly.begun.wait()
        waiter.cancel()
        await asyncio.gather(waiter, return_exceptions=True)
        slowly.go.set()
        assert (await added).seq == 1
        assert kept(disk) == [await added]


async def test_an_ended_writer_finishes_what_it_began() -> None:
    disk, slowly = SimulatedDisk(), Slowly()
    async with writing(disk, slowly) as journal:
        added = journal.add(record(1))
        await slowly.begun.wait()
    slowly.go.set()
    assert (await asyncio.wait_for(added, 5)).seq == 1


async def test_a_closed_journal_takes_nothing_more() -> None:
    disk, slowly = SimulatedDisk(), Slowly()
    async with writing(disk, slowly) as journal:
        begun = journal.add(record(1))
        await slowly.begun.wait()
        queued = journal.add(record(2))
        journal.close()
        for refused in (queued, journal.add(record(3))):
            with pytest.raises(Unavailable):
                await refused
        slowly.go.set()
        added = await begun
        assert kept(disk) == [added]


async def test_posted_records_leave_memory_and_disk() -> None:
    disk = SimulatedDisk()
    async with writing(disk, file_bytes=1) as journal:
        for number in range(4):
            await journal.add(record(number))
        assert [found.seq for found in journal.unposted(3)] == [1, 2, 3]
        assert len(disk.files(FOLDER)) == 4
        assert [found.seq for found in journal.forget(2)] == [1, 2]
        await journal.tidy()
        assert [found.seq for found in kept(disk)] == [3, 4]
        assert journal.forget(2) == [], "a batch that was posted twice"
        assert journal.waiting and not journal.idle
        journal.forget(4)
        await journal.tidy()
        assert journal.idle and len(disk.files(FOLDER)) == 1, "the last file is still written"
        waiting = asyncio.create_task(journal.some())
        await asyncio.sleep(0)
        assert not waiting.done()
        await journal.add(record(5))
        await asyncio.wait_for(waiting, 5)


async def test_there_is_room_for_so_many() -> None:
    disk, slowly = SimulatedDisk(), Slowly()
    async with writing(disk, slowly, most=2) as journal:
        first = journal.add(record(0))
        assert journal.room and not journal.idle
        second = journal.add(record(1))
        assert not journal.room, "queued records count"
        slowly.go.set()
        await asyncio.gather(first, second)
        assert not journal.room, "and those that wait to be posted"
        assert (await journal.add(record(2))).seq == 3, "an end is always taken"
        journal.forget(2)
        assert journal.room


@pytest.mark.fault("the disk of the journal is full")
async def test_a_full_disk_refuses_and_recovers() -> None:
    disk = SimulatedDisk()
    async with writing(disk) as journal:
        first = await journal.add(record(1))
        disk.space = 10
        with pytest.raises(StorageFull):
            await journal.add(record(2))
        assert not journal.failed
        assert kept(disk) == [first], "half a record is cut off again"
        disk.space = None
        third = await journal.add(record(3))
        assert third.seq == 2, "what was refused has no number"
        disk.crash()
        assert kept(disk) == [first, third]


async def test_a_full_disk_refuses_the_whole_group() -> None:
    disk, slowly = SimulatedDisk(), Slowly()
    async with writing(disk, slowly) as journal:
        disk.space = 100
        refused = [journal.add(record(number)) for number in range(10)]
        slowly.go.set()
        outcomes = await asyncio.gather(*refused, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {StorageFull}
        assert journal.idle and kept(disk) == []


@pytest.mark.parametrize(
    "faults",
    [
        {"sync": errno.EIO},
        {"sync": errno.ENOSPC},
        {"append": errno.EIO},
        {"append": errno.ENOSPC, "truncate": errno.EIO},
    ],
    ids=lambda faults: "+".join(faults),
)
async def test_a_disk_in_doubt_ends_intake(faults: dict[str, int]) -> None:
    disk, slowly = SimulatedDisk(), Slowly()
    async with writing(disk, slowly) as journal:
        first = journal.add(record(1))
        slowly.go.set()
        assert await first
        slowly.go.clear()
        slowly.begun.clear()
        disk.fail = dict(faults)
        second = journal.add(record(2))
        await slowly.begun.wait()
        third = journal.add(record(3))
        slowly.go.set()
        for refused in (second, third):
            with pytest.raises(Unavailable):
                await refused
        assert journal.failed
        disk.fail = {}
        with pytest.raises(Unavailable):
            await journal.add(record(4))
        assert await first in kept(disk)
        assert journal.unposted(10) == [await first], "what was durable before still counts"
        if "truncate" not in faults:
            assert kept(disk) == [await first], "what was refused is not found at the next start"


async def test_a_refusal_that_nobody_hears_is_no_bug(caplog: pytest.LogCaptureFixture) -> None:
    disk = SimulatedDisk()
    async with writing(disk) as journal:
        disk.space = 0
        refused = journal.add(record(1))
        await asyncio.sleep(0)
        while not journal.idle:
            await asyncio.sleep(0)
        del refused
    assert "never retrieved" not in caplog.text


@pytest.mark.parametrize("end", ["drop", "leave"])
async def test_a_journal_is_dropped_or_left(end: str) -> None:
    disk = SimulatedDisk()
    async with writing(disk) as journal:
        await journal.add(record(1))
        method: Any = getattr(journal, end)
        await method()
    assert disk.lock(FOLDER) == (end == "leave")

"""What a dead process left on the disk: moved once, whole, in order."""

from __future__ import annotations

import asyncio
import errno
import struct
import zlib
from collections.abc import Callable
from typing import TypeVar

import msgspec
import pytest

from antiphon.errors import ConfigurationError, Unavailable
from antiphon.ledger import epochs
from antiphon.ledger.books import BATCH
from antiphon.ledger.journal import LEAVE_SECONDS
from antiphon.ledger.records import Record, Reserve, Void, encode
from antiphon.ledger.recovery import RECOVERY_SECONDS, recover
from antiphon.storage import tables
from antiphon.values import Price
from ledger_house import House
from simulated_disk import SimulatedDisk, inline

T = TypeVar("T")


def framed(payload: bytes) -> bytes:
    return struct.pack(">II", len(payload), zlib.crc32(payload)) + payload


def records(house: House, count: int, first: int = 1) -> list[Record]:
    """Reservations, each with its void but the last."""
    account = house.account()
    found: list[Record] = []
    for number in range(first, first + count):
        name = f"req_{(number + 1) // 2}"
        if number % 2:
            reserve = Reserve(
                seq=number,
                request_id=name,
                organization_id=account.organization_id,
                project_id=account.project_id,
                key_id=account.key_id,
                member_id=None,
                task="chat",
                snapshot="model",
                price=Price(since=house.since),
                period="2026-09",
                prepaid=False,
                created_at=int(house.clock.START),
                amount=0,
            )
            found.append(reserve)
        else:
            found.append(Void(seq=number, request_id=name, reason="ClientGone", ended_at=2))
    return found


def dead(house: House, disk: SimulatedDisk, files: list[list[Record]], name: str = "epoch_a") -> None:
    """A journal whose process is gone."""
    disk.create(name)
    for number, held in enumerate(files, 1):
        disk.append(name, f"{number:08}", b"".join(map(encode, held)))
        disk.sync(name, f"{number:08}")
    disk.release(name)
    with house.engine.begin() as connection:
        epochs.open_epoch(connection, name, "there", 1)


def statuses(house: House) -> list[str]:
    return [row.status for row in house.rows(tables.request)]


def test_everything_is_moved_and_the_epoch_is_closed(house: House) -> None:
    disk = SimulatedDisk()
    house.tenant()
    held = records(house, 2 * BATCH + 3)
    dead(house, disk, [held[:100], held[100:]])

    async def main() -> None:
        assert await recover(house, disk, inline, house.clock.wall) == 1
        assert await recover(house, disk, inline, house.clock.wall) == 0

    house.go(main())
    assert statuses(house).count("voided") == BATCH + 2
    assert disk.folders() == []
    [row] = house.rows(tables.epoch)
    assert row.closed_at is not None


def test_what_was_posted_before_is_not_posted_again(house: House) -> None:
    disk = SimulatedDisk()
    house.tenant()
    dead(house, disk, [records(house, 10)])

    async def main() -> None:
        house.loses = True
        with pytest.raises(Unavailable):
            await recover(house, disk, inline, house.clock.wall)
        assert disk.lock("epoch_a"), "whoever fails lets go of it"
        disk.release("epoch_a")
        house.loses = False
        assert await recover(house, disk, inline, house.clock.wall) == 1

    house.go(main())
    assert statuses(house) == ["voided"] * 5


@pytest.mark.fault("the power fails in the midst of a record")
def test_a_torn_end_and_what_it_would_have_been_are_ignored(house: House) -> None:
    disk = SimulatedDisk()
    house.tenant()
    held = records(house, 4)
    dead(house, disk, [held[:2]])
    disk.contents["epoch_a"]["00000001"] += encode(held[2])[:-3]

    async def main() -> None:
        await recover(house, disk, inline, house.clock.wall)

    house.go(main())
    assert statuses(house) == ["voided"]


def test_a_journal_with_a_hole_counts_up_to_it(house: House, caplog: pytest.LogCaptureFixture) -> None:
    disk = SimulatedDisk()
    house.tenant()
    dead(house, disk, [records(house, 2), records(house, 2, first=5)])

    async def main() -> None:
        await recover(house, disk, inline, house.clock.wall)

    house.go(main())
    assert statuses(house) == ["voided"]
    assert "lacks records after number 2" in caplog.text


def test_a_journal_that_somebody_holds_is_left_alone(house: House) -> None:
    disk = SimulatedDisk()
    house.tenant()
    dead(house, disk, [records(house, 2)])
    assert disk.lock("epoch_a")

    async def main() -> None:
        assert await recover(house, disk, inline, house.clock.wall) == 0

    house.go(main())
    assert statuses(house) == []


def test_a_journal_of_another_database_is_kept(house: House) -> None:
    disk = SimulatedDisk()
    house.tenant()
    dead(house, disk, [records(house, 2)])
    with house.engine.begin() as connection:
        connection.execute(tables.epoch.delete())

    async def main() -> None:
        with pytest.raises(ConfigurationError, match="another database"):
            await recover(house, disk, inline, house.clock.wall)

    house.go(main())
    assert disk.folders() == ["epoch_a"] and disk.lock("epoch_a")


def test_a_journal_that_cannot_be_moved_does_not_keep_the_others_from_it(house: House) -> None:
    disk = SimulatedDisk()
    house.tenant()
    dead(house, disk, [[]], name="epoch_0")
    dead(house, disk, [records(house, 2)])
    disk.contents["epoch_0"]["00000001"] += framed(b"of a later version")

    async def main() -> None:
        with pytest.raises(msgspec.DecodeError):
            await recover(house, disk, inline, house.clock.wall)

    house.go(main())
    assert statuses(house) == ["voided"]
    assert disk.folders() == ["epoch_0"] and disk.lock("epoch_0")


def test_a_disk_that_hangs_ends_a_recovery(house: House) -> None:
    disk = SimulatedDisk()
    house.tenant()
    dead(house, disk, [records(house, 2)])

    async def hang(work: Callable[[], T]) -> T:
        if house.clock.now > 0 or disk.locked:
            await asyncio.get_running_loop().create_future()
        return work()

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await recover(house, disk, hang, house.clock.wall)

    house.go(main())
    assert house.clock.now <= RECOVERY_SECONDS + LEAVE_SECONDS + 1


def test_a_journal_that_cannot_be_read_is_kept(house: House) -> None:
    disk = SimulatedDisk()
    house.tenant()
    dead(house, disk, [records(house, 2)])
    disk.fail = {"read": errno.EIO}

    async def main() -> None:
        with pytest.raises(OSError):
            await recover(house, disk, inline, house.clock.wall)

    house.go(main())
    assert disk.folders() == ["epoch_a"] and disk.lock("epoch_a")

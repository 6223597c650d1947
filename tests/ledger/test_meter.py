"""The meter: reserved before the work, ended once, whatever happens in between."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import pytest

from antiphon.errors import EngineFailed, InsufficientQuota, StorageFull, Unavailable
from antiphon.ledger.journal import DURABLE_SECONDS, LEAVE_SECONDS
from antiphon.ledger.ledger import Ledger
from antiphon.ledger.life import FINISH_SECONDS
from antiphon.ledger.meter import Account, Bill
from antiphon.ledger.moments import Asked, Moments
from antiphon.storage import tables
from ledger_house import CHAT, DOLLAR, House, tokens
from simulated_disk import SimulatedDisk

T = TypeVar("T")
TOKEN = 2_000
"""Nano-dollars for one token."""


async def answer(ledger: Ledger, account: Account, name: str, completion: int = 10) -> None:
    """A request that goes well."""
    async with ledger.meter.open(name, account, CHAT, tokens(10, 100)) as bill:
        bill.handed(tokens(10, 1))
        await bill.settle(tokens(10, completion))


def test_the_moments_of_a_request_are_in_its_row(house: House) -> None:
    account = house.tenant()

    async def main() -> None:
        async with house.ledger() as ledger:
            for name in ("whole", "broken", "failed"):
                asked = Asked("gpt-3.5-turbo", "chat.completions", Moments(house.clock.monotonic))
                await asyncio.sleep(0.5)
                asked.moments.let_in()
                with suppress(EngineFailed):
                    async with ledger.meter.open(name, account, CHAT, tokens(10, 100), asked) as bill:
                        await asyncio.sleep(1)
                        if name == "failed":
                            raise EngineFailed("gone")
                        bill.moments.first()
                        bill.handed(tokens(10, 1))
                        await asyncio.sleep(1)
                        if name == "broken":
                            raise EngineFailed("gone")
                        await bill.settle(tokens(10, 20))

    house.go(main())
    rows = {row.id: row for row in house.rows(tables.request)}
    assert {(row.model, row.endpoint) for row in rows.values()} == {("gpt-3.5-turbo", "chat.completions")}
    assert {id: (row.status, row.reason) for id, row in rows.items()} == {
        "whole": ("settled", None),
        "broken": ("settled", "EngineFailed"),
        "failed": ("voided", "EngineFailed"),
    }
    for id, row in rows.items():
        assert row.queued_ms == 500
        assert (row.first_ms is None) == (id == "failed")
        assert 1500 <= row.ended_ms - (0 if id == "failed" else 1000) < 1600
        assert id == "failed" or 1500 <= row.first_ms < 1600


def test_a_request_is_reserved_and_settled(house: House) -> None:
    account = house.tenant()

    async def main() -> None:
        async with house.ledger() as ledger:
            async with ledger.meter.open("req_1", account, CHAT, tokens(10, 100)) as bill:
                assert bill.request_id == "req_1"
                await asyncio.sleep(1)
                assert house.requests() == {"req_1": ("open", 0)}
                await bill.settle(tokens(10, 20))
            await asyncio.sleep(1)
            assert house.requests() == {"req_1": ("settled", 30 * TOKEN)}
        [row] = house.rows(tables.request)
        assert row.reserved == 110 * TOKEN and row.created_at == int(house.clock.START)
        assert (row.input_tokens, row.output_tokens, row.period) == (10, 20, "2026-09")

    house.go(main())


@pytest.mark.parametrize("error", [EngineFailed("broken"), ZeroDivisionError(), asyncio.CancelledError()])
def test_what_was_handed_over_is_paid(house: House, error: BaseException) -> None:
    account = house.tenant()

    async def main() -> None:
        async with house.ledger() as ledger:
            with pytest.raises(type(error)):
                async with ledger.meter.open("req_1", account, CHAT, tokens(10, 100)) as bill:
                    bill.handed(tokens(10))
                    bill.handed(tokens(10, 5))
                    raise error

    house.go(main())
    assert house.requests() == {"req_1": ("settled", 15 * TOKEN)}


def test_nothing_handed_over_is_void(house: House) -> None:
    account = house.tenant()

    async def main() -> None:
        async with house.ledger() as ledger:
            with pytest.raises(EngineFailed):
                async with ledger.meter.open("req_1", account, CHAT, tokens(10, 100)):
                    raise EngineFailed("broken")
            async with ledger.meter.open("req_2", account, CHAT, tokens(10, 100)):
                await asyncio.sleep(0)

    house.go(main())
    assert house.requests() == {"req_1": ("voided", 0), "req_2": ("voided", 0)}
    assert {row.reason for row in house.rows(tables.request)} == {"EngineFailed", "Unsettled"}


def test_what_was_no_answer_is_waived(house: House) -> None:
    account = house.tenant()

    async def main() -> None:
        async with house.ledger() as ledger:
            with pytest.raises(EngineFailed):
                async with ledger.meter.open("req_1", account, CHAT, tokens(10, 100)) as bill:
                    bill.handed(tokens(10, 5))
                    bill.waive("Liar")
                    bill.handed(tokens(10, 6))
                    raise EngineFailed("broken")
            async with ledger.meter.open("req_2", account, CHAT, tokens(10, 100)) as bill:
                await bill.settle(tokens(10, 20))
                bill.waive("TooLate")

    house.go(main())
    assert house.requests() == {"req_1": ("voided", 0), "req_2": ("settled", 30 * TOKEN)}
    assert [row.reason for row in house.rows(tables.request) if row.status == "voided"] == ["Liar"]


def test_a_waived_bill_that_the_disk_refuses_to_end_is_void_later(house: House) -> None:
    account = house.tenant()

    async def main() -> None:
        disk = SimulatedDisk()
        async with house.ledger(disk) as ledger:
            async with ledger.meter.open("req_1", account, CHAT, tokens(10, 100)) as bill:
                bill.handed(tokens(10, 5))
                bill.waive("Liar")
                disk.space = 0
            await asyncio.sleep(5)
            assert house.requests() == {"req_1": ("open", 0)}
            disk.space = None
            await asyncio.sleep(2)
            assert house.requests() == {"req_1": ("voided", 0)}

    house.go(main())


def test_the_first_settlement_counts(house: House) -> None:
    account = house.tenant()

    async def main() -> None:
        async with house.ledger() as ledger:
            async with ledger.meter.open("req_1", account, CHAT, tokens(10, 100)) as bill:
                await bill.settle(tokens(10, 20))
                bill.handed(tokens(10, 90))
                await bill.settle(tokens(10, 90))

    house.go(main())
    assert house.requests() == {"req_1": ("settled", 30 * TOKEN)}


def test_nobody_pays_more_than_was_reserved(house: House, caplog: pytest.LogCaptureFixture) -> None:
    account = house.tenant()

    async def main() -> None:
        async with house.ledger() as ledger:
            async with ledger.meter.open("req_1", account, CHAT, tokens(10, 100)) as bill:
                await bill.settle(tokens(10, 1_000))

    house.go(main())
    assert house.requests() == {"req_1": ("settled", 110 * TOKEN)}
    assert "req_1 used more than it had reserved" in caplog.text


class SlowDisk(SimulatedDisk):
    """Its writes take a second of virtual time."""

    async def run(self, work: Callable[[], T]) -> T:
        await asyncio.sleep(1)
        return work()


def slow(house: House) -> tuple[Ledger, SlowDisk]:
    disk = SlowDisk()
    clock = house.clock
    return Ledger(house, disk, disk.run, host="here", clock=clock.wall, monotonic=clock.monotonic), disk


@pytest.mark.parametrize("after", [0.0, 0.5])
def test_a_reservation_given_up_while_it_is_written_is_voided(house: House, after: float) -> None:
    account = house.tenant()

    async def main() -> None:
        ledger, _ = slow(house)
        async with ledger:
            await answer(ledger, account, "req_0")
            request = asyncio.create_task(answer(ledger, account, "req_1"))
            await asyncio.sleep(after)
            request.cancel()
            await asyncio.gather(request, return_exceptions=True)

    house.go(main())
    assert house.requests() == {"req_0": ("settled", 20 * TOKEN), "req_1": ("voided", 0)}


def test_a_settlement_given_up_while_it_is_written_counts(house: House) -> None:
    account = house.tenant()

    async def main() -> None:
        ledger, _ = slow(house)
        async with ledger:
            settling = asyncio.Event()

            async def request() -> None:
                async with ledger.meter.open("req_1", account, CHAT, tokens(10, 100)) as bill:
                    bill.handed(tokens(10, 5))
                    settling.set()
                    await bill.settle(tokens(10, 20))

            task = asyncio.create_task(request())
            await settling.wait()
            await asyncio.sleep(0.5)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    house.go(main())
    assert house.requests() == {"req_1": ("settled", 30 * TOKEN)}


def test_a_bill_is_charged_once_a_settlement_was_begun(house: House) -> None:
    account = house.tenant()

    async def main() -> None:
        async with house.ledger() as ledger:
            async with ledger.meter.open("req_1", account, CHAT, tokens(10, 10)) as bill:
                bill.handed(tokens(10, 5))
                assert not bill.charged
                settling = asyncio.create_task(bill.settle(tokens(10, 10)))
                await asyncio.sleep(0)
                assert bill.charged, "it may be on its way to the disk"
                await settling
            assert bill.charged

    house.go(main())


def test_a_full_disk_refuses_a_reservation_and_gives_its_money_back(house: House) -> None:
    account = house.tenant(project=1)

    async def main() -> None:
        disk = SimulatedDisk()
        async with house.ledger(disk) as ledger:
            disk.space = 0
            for _ in range(10):
                with pytest.raises(StorageFull):
                    async with ledger.meter.open("req_1", account, CHAT, tokens(5_000)):
                        pytest.fail("nothing may run that is not recorded")
            disk.space = None
            async with ledger.meter.open("req_2", account, CHAT, tokens(5_000)) as bill:
                await bill.settle(tokens(5_000))

    house.go(main())
    assert house.requests() == {"req_2": ("settled", DOLLAR // 100)}


def test_a_settlement_that_the_disk_refuses_ends_as_an_error_and_is_ended_later(house: House) -> None:
    account = house.tenant()

    async def main() -> None:
        disk = SimulatedDisk()
        async with house.ledger(disk) as ledger:
            with pytest.raises(StorageFull):
                async with ledger.meter.open("req_1", account, CHAT, tokens(10, 100)) as bill:
                    bill.handed(tokens(10, 5))
                    disk.space = 0
                    await bill.settle(tokens(10, 20))
            assert not bill.charged, "the settlement was not kept"
            await asyncio.sleep(5)
            assert house.requests() == {"req_1": ("open", 0)}
            disk.space = None
            await asyncio.sleep(2)
            assert house.requests() == {"req_1": ("settled", 15 * TOKEN)}

    house.go(main())


def test_a_settlement_given_up_and_then_refused_is_ended_later(house: House) -> None:
    account = house.tenant()

    async def main() -> None:
        ledger, disk = slow(house)
        async with ledger:
            settling = asyncio.Event()

            async def request() -> None:
                async with ledger.meter.open("req_1", account, CHAT, tokens(10, 100)) as bill:
                    settling.set()
                    await bill.settle(tokens(10, 20))

            task = asyncio.create_task(request())
            await settling.wait()
            disk.space = 0
            await asyncio.sleep(0.5)
            task.cancel()
            await asyncio.sleep(2)
            disk.space = None
            await asyncio.gather(task, return_exceptions=True)

    house.go(main())
    assert house.requests() == {"req_1": ("voided", 0)}


def test_a_broken_journal_takes_no_new_requests(house: House) -> None:
    account = house.tenant()
    disk = SimulatedDisk()

    async def main() -> None:
        async with house.ledger(disk) as ledger:
            bills: list[Bill] = []
            with pytest.raises(Unavailable):
                async with ledger.meter.open("req_1", account, CHAT, tokens(10, 100)) as bill:
                    bills.append(bill)
                    disk.fail = {"sync": errno.EIO}
                    await bill.settle(tokens(10, 20))
            disk.fail = {}
            with pytest.raises(Unavailable):
                async with ledger.meter.open("req_2", account, CHAT, tokens(10, 100)):
                    pytest.fail("nothing may run that is not recorded")
            with pytest.raises(Unavailable):
                await bills[0].settle(tokens(10, 20))
            await asyncio.sleep(5)
            assert house.requests()["req_1"] == ("voided", 0), "nobody waits for it any more"
            assert not ledger.ready
        assert disk.folders() == []
        async with house.ledger(disk) as ledger:
            await answer(ledger, account, "req_3")

    house.go(main())
    found = house.requests()
    assert found["req_1"] == ("voided", 0) and found["req_3"][0] == "settled"
    assert "req_2" not in found


class HangingDisk(SimulatedDisk):
    """Its thread does nothing while `hangs`, and then all of it."""

    def __init__(self) -> None:
        super().__init__()
        self.goes = asyncio.Event()
        self.goes.set()

    async def run(self, work: Callable[[], T]) -> T:
        await self.goes.wait()
        return work()


def hanging(house: House) -> tuple[Ledger, HangingDisk]:
    disk = HangingDisk()
    clock = house.clock
    return Ledger(house, disk, disk.run, host="here", clock=clock.wall, monotonic=clock.monotonic), disk


@pytest.mark.parametrize("settles", [False, True])
def test_nobody_waits_for_a_disk_that_hangs(house: House, settles: bool) -> None:
    account = house.tenant()

    async def main() -> None:
        ledger, disk = hanging(house)
        async with ledger:
            assert ledger.ready
            began = house.clock.now
            with pytest.raises(Unavailable):
                if not settles:
                    disk.goes.clear()
                async with ledger.meter.open("req_1", account, CHAT, tokens(10, 100)) as bill:
                    disk.goes.clear()
                    await bill.settle(tokens(10, 10))
            assert DURABLE_SECONDS <= house.clock.now - began <= DURABLE_SECONDS + 1
            began = house.clock.now
            assert not ledger.ready
            with pytest.raises(Unavailable):
                await answer(ledger, account, "req_2")
            assert house.clock.now == began, "new ones need not wait to be told"
            disk.goes.set()
            await asyncio.sleep(1)
            assert ledger.ready
            await answer(ledger, account, "req_3")

    house.go(main())
    first = ("settled", 20 * TOKEN) if settles else ("voided", 0)
    assert house.requests() == {"req_1": first, "req_3": ("settled", 20 * TOKEN)}


def test_a_disk_that_hangs_ends_with_its_process(house: House, caplog: pytest.LogCaptureFixture) -> None:
    account = house.tenant()

    async def main() -> None:
        ledger, disk = hanging(house)
        async with ledger:
            async with ledger.meter.open("req_1", account, CHAT, tokens(10, 100)) as bill:
                disk.goes.clear()
                with pytest.raises(Unavailable):
                    await bill.settle(tokens(10, 10))
            began = house.clock.now
        assert house.clock.now - began <= FINISH_SECONDS + LEAVE_SECONDS + 1

    house.go(main())
    assert "the disk hangs" in caplog.text


def test_a_quota_is_said_in_dollars(house: House) -> None:
    account = house.tenant(project=1)

    async def main() -> None:
        async with house.ledger() as ledger:
            with pytest.raises(
                InsufficientQuota, match=r"up to \$0\.01, .*budget of your project.*max_tokens"
            ):
                async with ledger.meter.open("req_1", account, CHAT, tokens(5_001)):
                    pytest.fail("it cannot be paid")

    house.go(main())
    assert house.requests() == {}

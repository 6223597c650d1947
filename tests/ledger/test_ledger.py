"""A process's ledger: it begins, beats, ends, and looks after those who did not end."""

from __future__ import annotations

import asyncio
import errno
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import insert, select

from antiphon.errors import StorageFull, Unavailable
from antiphon.ledger import epochs as lives
from antiphon.ledger import posting
from antiphon.ledger.idempotency import KEEP_SECONDS, PURGE_SECONDS
from antiphon.ledger.ledger import ANSWER_SECONDS, BEAT_SECONDS, Ledger, running
from antiphon.ledger.meter import Account
from antiphon.ledger.watch import PATIENCE_SECONDS
from antiphon.storage import tables
from antiphon.storage.database import Database
from ledger_house import CHAT, House, seconds, tokens
from simulated_disk import SimulatedDisk, inline

T = TypeVar("T")


async def serve(ledger: Ledger, account: Account, name: str, hold: float = 0.0) -> None:
    async with ledger.meter.open(name, account, CHAT, tokens(10, 100)) as bill:
        await seconds(hold)
        await bill.settle(tokens(10, 10))


def epochs(house: House) -> dict[bool, int]:
    """How many are closed (True) and open (False)."""
    closed = [row.closed_at is not None for row in house.rows(tables.epoch)]
    return {state: closed.count(state) for state in (True, False)}


def test_an_ended_ledger_leaves_nothing_behind(house: House) -> None:
    disk = SimulatedDisk()
    account = house.tenant()

    async def main() -> None:
        async with house.ledger(disk) as ledger:
            running = asyncio.create_task(serve(ledger, account, "req_1", 3))
            await seconds(1)
        assert running.done(), "it waits for what is open"
        with pytest.raises(Unavailable):
            await serve(ledger, account, "req_2")

    house.go(main())
    assert house.requests() == {"req_1": ("settled", 40_000)}
    assert disk.folders() == [] and epochs(house) == {True: 1, False: 0}
    assert house.rows(tables.allowance) == []
    assert [row.leased for row in house.rows(tables.spending)] == [0, 0]


def test_what_cannot_be_moved_is_left_for_the_next_start(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    disk = SimulatedDisk()
    account = house.tenant()

    async def main() -> None:
        async with house.ledger(disk) as ledger:
            await serve(ledger, account, "req_1")
            house.away = True
        assert len(disk.folders()) == 1
        house.away = False
        async with house.ledger(disk):
            assert house.requests() == {"req_1": ("settled", 40_000)}
            assert epochs(house) == {True: 1, False: 1}

    house.go(main())
    assert "left for the next start" in caplog.text


def test_a_database_that_is_away_at_the_start_is_said(house: House) -> None:

    async def main() -> None:
        house.away = True
        with pytest.raises(Unavailable):
            async with house.ledger():
                pytest.fail("it cannot run")

    house.go(main())


def test_while_the_database_is_away_streams_finish_and_new_work_is_refused(house: House) -> None:
    account = house.tenant()

    async def main() -> None:
        async with house.ledger() as ledger:
            running = asyncio.create_task(serve(ledger, account, "req_1", 6))
            await seconds(1)
            house.away = True
            await seconds(2.5)
            with pytest.raises(Unavailable) as refusal:
                await serve(ledger, account, "req_2")
            assert refusal.value.retry_after
            await running
            house.away = False
            await seconds(1)
            await serve(ledger, account, "req_3")

    house.go(main())
    assert house.requests() == {"req_1": ("settled", 40_000), "req_3": ("settled", 40_000)}


def test_a_database_that_hangs_is_noticed_within_a_beat(house: House) -> None:
    account = house.tenant()

    async def main() -> None:
        async with house.ledger() as ledger:
            await serve(ledger, account, "req_1")
            house.hangs = asyncio.Event()
            await seconds(BEAT_SECONDS + ANSWER_SECONDS + 0.1)
            began = house.clock.now
            with pytest.raises(Unavailable):
                await serve(ledger, account, "req_2")
            assert house.clock.now == began
            house.hangs.set()
            house.hangs = None
            await seconds(3)
            await serve(ledger, account, "req_3")

    house.go(main())


@pytest.mark.parametrize(("number", "error"), [(errno.ENOSPC, StorageFull), (errno.EACCES, Unavailable)])
def test_a_disk_without_place_for_a_journal_is_said(
    house: House, number: int, error: type[Exception]
) -> None:
    disk = SimulatedDisk()
    disk.fail = {"create": number}

    async def main() -> None:
        with pytest.raises(error):
            async with house.ledger(disk):
                pytest.fail("it cannot run")

    house.go(main())


def test_a_process_that_was_stopped_takes_nothing_before_its_next_beat(house: House) -> None:
    account = house.tenant()

    async def main() -> None:
        async with house.ledger() as ledger:
            await serve(ledger, account, "req_1")
            house.clock.now += 60
            with pytest.raises(Unavailable):
                await serve(ledger, account, "req_2")
            await seconds(1)
            await serve(ledger, account, "req_3")

    house.go(main())


class Line:
    """One process's way to the database, which may be cut while others have theirs."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.cut = False
        self.slow: dict[object, float] = {}
        """Seconds that some work takes."""
        self.refused: list[object] = []
        """Work, or what it is about, that fails."""

    async def run(self, work: Callable[..., T], *arguments: Any) -> T:
        await seconds(self.slow.get(work, 0.0))
        if self.cut or any(given in self.refused for given in (work, *arguments)):
            raise Unavailable("There is no way to the database.")
        return await self._house.run(work, *arguments)


def test_a_silent_process_is_given_up_and_begins_anew(house: House, caplog: pytest.LogCaptureFixture) -> None:
    disk = SimulatedDisk()
    account = house.tenant()
    line = Line(house)
    clock = house.clock

    async def main() -> None:
        silent = Ledger(line, disk, inline, host="there", clock=clock.wall, monotonic=clock.monotonic)
        async with house.ledger() as other, silent:
            late = asyncio.create_task(serve(silent, account, "req_1", 30))
            await seconds(1)
            line.cut = True
            await seconds(PATIENCE_SECONDS - 2)
            assert epochs(house)[True] == 0
            await seconds(6)
            assert epochs(house)[True] == 1
            assert house.requests()["req_1"] == ("voided", 0)
            line.cut = False
            await seconds(3)
            assert epochs(house) == {True: 1, False: 2}
            await serve(silent, account, "req_2")
            await serve(other, account, "req_3")
            await late
            await seconds(1)
            assert len(disk.folders()) == 1, "the journal of the life before is gone"

    house.go(main())
    assert house.requests() == {
        "req_1": ("lost", 40_000),
        "req_2": ("settled", 40_000),
        "req_3": ("settled", 40_000),
    }
    assert "was closed by another process" in caplog.text and "is silent" in caplog.text
    assert disk.folders() == []


def test_a_slow_close_of_a_silent_process_delays_no_beat(house: House) -> None:
    account = house.tenant()
    line, clock = Line(house), house.clock
    disk = SimulatedDisk()

    async def main() -> None:
        other = Ledger(line, disk, inline, host="there", clock=clock.wall, monotonic=clock.monotonic)
        for name in ("epoch_a", "epoch_b"):
            await house.run(lives.open_epoch, name, "nowhere", 1)
        line.slow[lives.close] = 6
        async with other:
            for second in range(40):
                await seconds(1)
                assert other.ready
                await serve(other, account, f"req_{second}")
            assert epochs(house) == {True: 2, False: 1}
            line.slow.clear()

    house.go(main())


def test_a_silent_process_that_cannot_be_closed_keeps_no_other_open(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    line, clock = Line(house), house.clock

    async def main() -> None:
        ledger = Ledger(
            line, SimulatedDisk(), inline, host="here", clock=clock.wall, monotonic=clock.monotonic
        )
        for name in ("epoch_a", "epoch_b"):
            await house.run(lives.open_epoch, name, "nowhere", 1)
        line.refused.append("epoch_a")
        async with ledger:
            await seconds(PATIENCE_SECONDS + 6)
            assert epochs(house) == {True: 1, False: 2}
            line.refused.clear()
            await seconds(5)
            assert epochs(house) == {True: 2, False: 1}

    house.go(main())
    assert "epoch_a is silent and could not be closed" in caplog.text


@pytest.mark.parametrize("unposted", [False, True])
def test_a_failed_journal_ends_its_epoch_but_not_before_all_is_posted(house: House, unposted: bool) -> None:
    account = house.tenant()
    disk, line, clock = SimulatedDisk(), Line(house), house.clock

    async def main() -> None:
        ledger = Ledger(line, disk, inline, host="here", clock=clock.wall, monotonic=clock.monotonic)
        async with ledger:
            open_one = asyncio.create_task(serve(ledger, account, "req_1", 1_000))
            await seconds(1)
            if unposted:
                line.refused.append(posting.post)
            await serve(ledger, account, "req_0")
            disk.fail = {"sync": errno.EIO}
            with pytest.raises(Unavailable):
                await ledger.meter.open("req_2", account, CHAT, tokens(10, 100)).__aenter__()
            if unposted:
                await seconds(20)
                [row] = house.rows(tables.epoch)
                assert row.closed_at is None and row.beat >= 10, "no peer may take it for dead"
                line.refused.clear()
            disk.fail = {}
            await seconds(5)
            assert not ledger.ready and epochs(house) == {True: 1, False: 0}
            assert house.requests() == {"req_0": ("settled", 40_000), "req_1": ("voided", 0)}
            open_one.cancel()
            await asyncio.gather(open_one, return_exceptions=True)
            began = house.clock.now
        assert house.clock.now - began < 1, "nothing is left to wait for"

    house.go(main())


def test_a_failed_journal_delays_no_end(house: House) -> None:
    account = house.tenant()
    disk = SimulatedDisk()

    async def main() -> None:
        async with house.ledger(disk) as ledger:
            with pytest.raises(Unavailable):
                async with ledger.meter.open("req_1", account, CHAT, tokens(10, 100)) as bill:
                    disk.fail = {"sync": errno.EIO}
                    await bill.settle(tokens(10, 20))
            began = house.clock.now
        assert house.clock.now - began < 1

    house.go(main())
    assert house.requests() == {"req_1": ("voided", 0)} and disk.folders() == []


def test_a_given_up_process_whose_journal_failed_does_not_begin_anew(house: House) -> None:
    account = house.tenant()
    disk = SimulatedDisk()

    async def main() -> None:
        async with house.ledger(disk) as ledger:
            disk.fail = {"sync": errno.EIO}
            with pytest.raises(Unavailable):
                await serve(ledger, account, "req_1")
            house.give_up()
            disk.fail = {}
            await seconds(5)
            assert not ledger.ready and epochs(house) == {True: 1, False: 0}

    house.go(main())


def test_readiness_says_whether_new_requests_are_taken(house: House) -> None:

    async def main() -> None:
        ledger = house.ledger()
        assert not ledger.ready
        async with ledger:
            assert ledger.ready
            house.away = True
            await seconds(3)
            assert not ledger.ready
            house.away = False
            await seconds(2)
            assert ledger.ready
            house.clock.now += 60
            assert not ledger.ready
            await seconds(1)
        assert not ledger.ready

    house.go(main())


def test_old_idempotency_keys_are_forgotten(house: House) -> None:
    house.tenant()

    async def main() -> None:
        async with house.ledger() as ledger:
            await ledger.idempotency_keys.claim(b"key", b"print", "req_1")
            await ledger.idempotency_keys.end(b"key", "req_1")
            house.clock.offset += KEEP_SECONDS + 1
            await seconds(2 * PURGE_SECONDS)
            assert house.rows(tables.idempotency) == []

    house.go(main())


def test_what_a_given_up_life_still_had_open_at_the_end_stays(house: House) -> None:
    disk = SimulatedDisk()
    account = house.tenant()

    async def main() -> None:
        async with house.ledger(disk) as ledger:
            late = asyncio.create_task(serve(ledger, account, "req_1", 1_000))
            await seconds(1)
            house.give_up()
            await seconds(3)
            await serve(ledger, account, "req_2")
        assert len(disk.folders()) == 1
        late.cancel()
        await asyncio.gather(late, return_exceptions=True)

    house.go(main())


@pytest.mark.parametrize("heals", [True, False])
def test_a_given_up_process_that_cannot_begin_anew_takes_nothing(house: House, heals: bool) -> None:
    disk = SimulatedDisk()
    account = house.tenant()

    async def main() -> None:
        async with house.ledger(disk) as ledger:
            await seconds(1)
            house.give_up()
            disk.fail = {"create": errno.EACCES}
            await seconds(3)
            with pytest.raises(Unavailable):
                await serve(ledger, account, "req_1")
            if heals:
                disk.fail = {}
                await seconds(3)
                await serve(ledger, account, "req_2")

    house.go(main())
    assert list(house.requests()) == (["req_2"] if heals else [])
    assert disk.folders() == []


@pytest.mark.fault("the power fails")
def test_a_machine_that_lost_power_loses_nothing_that_was_acknowledged(house: House) -> None:
    disk = SimulatedDisk()
    account = house.tenant()

    async def main() -> None:
        ledger = house.ledger(disk)
        await ledger.__aenter__()
        await asyncio.gather(*(serve(ledger, account, f"req_{n}") for n in range(20)))
        open_ones = [asyncio.create_task(serve(ledger, account, f"req_{n}", 99)) for n in range(20, 30)]
        await seconds(0.1)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        disk.crash()
        house.away = True
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        assert all(task.cancelled() for task in open_ones)
        house.away = False
        async with house.ledger(disk):
            states = [status for status, _ in house.requests().values()]
            assert (states.count("settled"), states.count("voided"), len(states)) == (20, 10, 30)

    house.go(main())


def test_a_process_that_lives_moves_what_a_dead_neighbour_left(house: House) -> None:
    disk = SimulatedDisk()
    account = house.tenant()

    async def main() -> None:
        async with house.ledger(disk), house.ledger(disk) as neighbour:
            running = asyncio.create_task(serve(neighbour, account, "req_1", 60))
            await seconds(1)
            [held] = [row.epoch for row in house.rows(tables.request)]
            disk.release(held)
            await seconds(3)
            assert house.requests() == {"req_1": ("voided", 0)}
            assert held not in disk.folders()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    house.go(main())


async def test_whoever_is_in_line_for_the_database_delays_no_beat(database: Database, tmp_path: Path) -> None:
    """Writers wait longer in line than a beat may."""

    async def write() -> None:
        async with database.begin():
            await asyncio.sleep(0.3)

    async with running(database, tmp_path) as ledger:
        line = [asyncio.create_task(write()) for _ in range(12)]
        async with asyncio.timeout(30):
            while not all(task.done() for task in line):
                assert ledger.ready
                await asyncio.sleep(0.05)
        await asyncio.gather(*line)


CHILD = """
import asyncio, sys
from pathlib import Path
from ledger_house import CHAT, tokens
from antiphon.ledger.ledger import running
from antiphon.ledger.meter import Account
from antiphon.storage.database import Database

ACCOUNT = Account(organization_id="org-a", project_id="proj_a", key_id="key_1", member_id=None)

async def stay(ledger, number):
    async with ledger.meter.open(f"req_{number}", ACCOUNT, CHAT, tokens(10, 100)) as bill:
        if number % 2:
            await bill.settle(tokens(10, 10))
        print(number, flush=True)
        await asyncio.sleep(60)

async def main():
    async with Database(sys.argv[1]) as database, running(database, Path(sys.argv[2])) as ledger:
        await asyncio.gather(*(stay(ledger, number) for number in range(20)))

asyncio.run(main())
"""


async def test_a_killed_process_is_settled_or_voided_at_the_next_start(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    async with database.begin() as connection:
        organization = {"id": "org-a", "name": "a", "created_at": 0, "prepaid": False}
        await connection.execute(insert(tables.organization).values(organization))
        project = {"id": "proj_a", "organization_id": "org-a", "name": "a", "created_at": 0}
        await connection.execute(insert(tables.project).values(project))
    command = [sys.executable, "-c", CHILD, database_url, str(tmp_path)]
    root = Path(__file__).parents[2]
    environment = {"PYTHONPATH": f"{root}:{root / 'tests'}", "PATH": ""}
    child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, env=environment)
    assert child.stdout is not None
    async with asyncio.timeout(30):
        for _ in range(20):
            assert await child.stdout.readline()
    child.send_signal(signal.SIGKILL)
    await child.wait()
    async with running(database, tmp_path):
        async with database.connect() as connection:
            found = {row.id: row.status for row in await connection.execute(select(tables.request))}
    assert found == {f"req_{n}": "settled" if n % 2 else "voided" for n in range(20)}
    assert [path for path in (tmp_path / "journal").iterdir()] == []

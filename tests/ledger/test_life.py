"""A life's loops: they go on after failures, and say so once."""

from __future__ import annotations

import asyncio

import pytest
from benchmarks.simulation.loop import Clock, run

from antiphon.errors import Unavailable
from antiphon.ledger.life import AWAY_SECONDS, repeat
from ledger_house import CHAT, House, seconds, tokens


def test_work_is_repeated(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    times: list[float] = []

    async def work() -> None:
        times.append(clock.now)

    async def main() -> None:
        task = asyncio.create_task(repeat(work, 2.0))
        await asyncio.sleep(5)
        task.cancel()

    run(clock, main())
    assert times == [0.0, 2.0, 4.0] and caplog.text == ""


@pytest.mark.parametrize(
    ("problem", "traced"),
    [(Unavailable("away"), False), (TimeoutError(), False), (ZeroDivisionError(), True)],
)
def test_a_failure_is_said_once_and_tried_again(
    problem: Exception, traced: bool, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    times: list[float] = []

    async def work() -> None:
        times.append(clock.now)
        if len(times) in (1, 2, 4):
            raise problem

    async def main() -> None:
        task = asyncio.create_task(repeat(work, 2.0))
        await asyncio.sleep(2 * AWAY_SECONDS + 2 + AWAY_SECONDS + 1)
        task.cancel()

    run(clock, main())
    assert times == [0.0, 0.5, 1.0, 3.0, 3.5]
    assert len(caplog.records) == 2, "once for each time that it began to fail"
    assert ("Traceback" in caplog.text) == traced


@pytest.mark.parametrize(("requests", "batches"), [(250, 1), (300, 2)])
def test_what_piled_up_is_posted_in_full_batches_without_a_pause(
    house: House, requests: int, batches: int
) -> None:
    account = house.tenant()

    async def serve(name: str) -> None:
        async with house_ledger.meter.open(name, account, CHAT, tokens(10, 100)) as bill:
            await bill.settle(tokens(10, 10))

    async def main() -> None:
        async with house_ledger:
            await serve("req_first")
            await seconds(0.5)
            house.away = True
            await asyncio.gather(*(serve(f"req_{n}") for n in range(requests)))
            await seconds(0.1)
            house.away, before = False, house.transactions.count("post")
            while not house_ledger._current().journal.idle:
                await seconds(0.001)
            assert house.transactions.count("post") - before == batches

    house_ledger = house.ledger()
    house.go(main())
    assert len(house.requests()) == requests + 1

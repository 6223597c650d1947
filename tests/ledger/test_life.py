"""A life's loops: they go on after failures, and say so once."""

from __future__ import annotations

import asyncio

import pytest
from benchmarks.simulation.loop import Clock, run

from antiphon.errors import Unavailable
from antiphon.ledger.life import AWAY_SECONDS, repeat


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

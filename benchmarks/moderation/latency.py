"""`python -m benchmarks.moderation.latency`: chat answers with the monitor and without it, in turns.

Engines are scripted, so that what is measured is the gateway alone; the scorers are the real ones. Prints
both medians in milliseconds and their ratio.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

from antiphon.moderation.monitor import Monitor, Seen
from antiphon.moderation.scorers import panel
from antiphon.settings import Settings

ROUNDS = 20
REQUESTS = 50


async def unheard(seen: Seen) -> None:
    """What would follow is left out: it is no part of the answer's path either way."""


async def measured(rounds: int = ROUNDS) -> tuple[float, float]:
    """Median milliseconds of an answer without the monitor and with it; rounds of both alternate."""
    sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
    from service import serving

    scorers = panel(Settings(home="/nowhere"))
    await scorers.start()
    monitor = Monitor(scorers, unheard, rate=20.0, queue=1000, repeats=20)
    watching = asyncio.create_task(monitor.run())
    times: tuple[list[float], list[float]] = ([], [])
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        async with serving(Path(one)) as bare, serving(Path(other), observers=[monitor]) as watched:
            for _ in range(rounds):
                for service, taken in ((bare, times[0]), (watched, times[1])):
                    for at in range(REQUESTS):
                        began = time.perf_counter()
                        status, _, _ = await service.chat(
                            messages=[{"role": "user", "content": f"Hello {at}"}]
                        )
                        assert status == 200
                        taken.append(time.perf_counter() - began)
    watching.cancel()
    await scorers.close()
    return statistics.median(times[0]) * 1000, statistics.median(times[1]) * 1000


def main() -> None:
    bare, watched = asyncio.run(measured())
    sys.stdout.write(f"without {bare:.3f} ms, with {watched:.3f} ms, ratio {watched / bare:.3f}\n")


if __name__ == "__main__":
    main()

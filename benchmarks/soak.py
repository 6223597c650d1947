"""`make soak`: a million requests through the simulated ledger, in worlds that each have a seed of their own.

Worlds are written as they end, so a run that was cut off goes on where it stopped. A world whose books do not
agree ends the run with its seed: `python -m benchmarks.soak --seed N` replays it.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from benchmarks.machine import machine
from benchmarks.simulation.world import World

WORLD = 10_000
RESULTS = Path(__file__).parent / "results" / "soak.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, help="run this one world, with the log")
    options = parser.parse_args()
    if options.seed is not None:
        logging.basicConfig(level=logging.INFO)
        Console().print_json(data=World(options.seed, WORLD).run())
        return
    done = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"worlds": {}, "sum": {}}
    wanted = [seed for seed in range(options.requests // WORLD) if str(seed) not in done["worlds"]]
    with ProcessPoolExecutor(options.processes) as pool:
        for seed, counts in track(pool.map(_world, wanted), "worlds", total=len(wanted)):
            done["worlds"][str(seed)] = counts
            _write(done)
    Console().print_json(data=done["sum"])


def _world(seed: int) -> tuple[int, dict[str, int]]:
    logging.getLogger("antiphon").setLevel(logging.CRITICAL + 1)
    began = time.monotonic()
    counts = World(seed, WORLD).run()
    return seed, counts | {"seconds": round(time.monotonic() - began)}


def _write(done: dict[str, Any]) -> None:
    total: Counter[str] = Counter()
    for counts in done["worlds"].values():
        total.update(counts)
    total["requests"] = WORLD * len(done["worlds"])
    written = datetime.now(UTC).isoformat(timespec="seconds")
    done |= {"machine": machine(), "written": written, "sum": total}
    RESULTS.write_text(json.dumps(done, indent=1) + "\n")


if __name__ == "__main__":
    main()

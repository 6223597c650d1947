"""The second half of `make soak`: every fault of the matrix again and again, each by its tests.

    python -m benchmarks.cells [--rounds 50] [--processes 4] [--only "an engine freezes"] [--out FILE]

Five rounds of a fault run in one process of pytest, on the servers that its file starts. All faults take
turns, several at once, since most of them wait most of the time; a run that is cut off has seen each about
as often, and is gone on with where it stopped. What failed is kept with the end of what its tests said. No
failure in fifty rounds shows, with 95 % confidence, that fewer than 6 % fail.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks.machine import machine
from benchmarks.marks import ROOT, marked

RESULTS = Path(__file__).parent / "results" / "cells.json"
AT_ONCE = 5
"""Rounds of a fault in one process."""
SECONDS = 1800.0
"""Longest time for them."""
TOLD = 4000
"""Characters of a failure that are kept."""
_SKIPPED = 5
"""What pytest returns if it ran nothing."""


class Cell(msgspec.Struct):
    """How often a fault was shown, how long that took, and what each failure said at its end."""

    runs: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    failures: list[str] = []


class Attempt(msgspec.Struct, frozen=True):
    """What became of some rounds of a fault, and what its tests said at their end."""

    rounds: int
    failed: int = 0
    skipped: bool = False
    said: str = ""


Run = Callable[[Sequence[str], int], Attempt]
"""Runs tests so many times."""


def attempt(tests: Sequence[str], times: int) -> Attempt:
    """Run them in a process of their own; what does not end counts as one round, which failed."""
    # A folder of its own: pytest clears away what others have left, and several run at once.
    with tempfile.TemporaryDirectory(prefix="cells-") as folder:
        options = ["-p", "no:cacheprovider", "-rfEs", "--count", str(times), "--basetemp", f"{folder}/t"]
        command = [sys.executable, "-m", "pytest", *options, *tests]
        try:
            ended = subprocess.run(
                command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            return Attempt(1, failed=1, said=f"not within {SECONDS:g} s")
    said = (ended.stdout + ended.stderr)[-TOLD:]
    if ended.returncode == _SKIPPED or (not ended.returncode and " passed" not in _last(ended.stdout)):
        return Attempt(times, skipped=True, said=said)
    if not ended.returncode:
        return Attempt(times)
    # pytest-repeat ends the name of a test with its round, of how many: test_one[2-5]
    named = re.findall(rf"^(?:FAILED|ERROR) .*?(\d+)-{times}\]", ended.stdout, re.MULTILINE)
    return Attempt(times, failed=len(set(named)) or times, said=said)


def _last(text: str) -> str:
    return next((line for line in reversed(text.splitlines()) if " passed" in line or " skipped" in line), "")


def rounds(
    cells: dict[str, Cell],
    faults: Mapping[str, Sequence[str]],
    most: int,
    run: Run,
    keep: Callable[[], None],
    processes: int = 1,
) -> None:
    """Show every fault until each was shown `most` times, the one that was shown least first."""
    running: dict[Future[tuple[Attempt, float]], str] = {}
    with ThreadPoolExecutor(processes) as pool:
        while True:
            for name in _due(cells, faults, most, set(running.values())):
                if len(running) < processes:
                    times = min(AT_ONCE, most - cells[name].runs)
                    running[pool.submit(_timed, run, faults[name], times)] = name
            if not running:
                return
            for ended in wait(running, return_when=FIRST_COMPLETED).done:
                _add(cells[running.pop(ended)], *ended.result())
            keep()


def _due(
    cells: dict[str, Cell], faults: Mapping[str, Sequence[str]], most: int, running: set[str]
) -> list[str]:
    wanted = [name for name in faults if cells.setdefault(name, Cell()).runs < most and name not in running]
    return sorted(wanted, key=lambda name: cells[name].runs)


def _timed(run: Run, tests: Sequence[str], times: int) -> tuple[Attempt, float]:
    began = time.monotonic()
    return run(tests, times), time.monotonic() - began


def _add(cell: Cell, found: Attempt, seconds: float) -> None:
    cell.runs += found.rounds
    cell.seconds += seconds
    cell.failed += found.failed
    cell.skipped += found.rounds if found.skipped else 0
    if found.failed:
        cell.failures.append(found.said)


def table(cells: Mapping[str, Cell]) -> Table:
    shown = Table("fault", "runs", "failed", "skipped", "seconds each", title="The fault matrix")
    for name, cell in cells.items():
        each = cell.seconds / cell.runs if cell.runs else 0.0
        shown.add_row(name, str(cell.runs), str(cell.failed), str(cell.skipped), f"{each:.1f}")
    return shown


def read(path: Path) -> dict[str, Cell]:
    """What earlier runs found."""
    if not path.exists():
        return {}
    return msgspec.convert(json.loads(path.read_text())["cells"], dict[str, Cell])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cells", description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--processes", type=int, default=4, help="faults that are shown at once")
    parser.add_argument("--only", action="append", help="name of a fault; every one if none is given")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    every = marked("fault")
    faults = {name: tests for name, tests in every.items() if not given.only or name in given.only}
    cells = {name: cell for name, cell in read(given.out).items() if name in every}

    def keep() -> None:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        document = {"machine": machine(), "cells": msgspec.to_builtins(cells)}
        given.out.write_text(json.dumps(document, indent=1) + "\n")

    rounds(cells, faults, given.rounds, attempt, keep, given.processes)
    Console().print(table(cells))
    if any(cell.failed for cell in cells.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()

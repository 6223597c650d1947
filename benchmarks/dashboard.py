"""`make reliability`: has what is missing of the ten figures of `benchmarks.ten` measured, and prints them.

    python -m benchmarks.dashboard [--minutes 150] [--days 30] [--no-runs]

What has no result, one that does not have enough cases yet, or one that is older than so many days is
measured now, the shortest first, for so many minutes in all. Each benchmark goes on where it stopped, so
calling this again goes on, too. Results that add up over runs do not age.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console

from benchmarks import pages, runs
from benchmarks.runs import RESULTS, ROOT
from benchmarks.ten import FIGURES, GENERATED, ROUNDS, STREAMS, Figure, table

END_SECONDS = 60.0
"""For a benchmark that is ended, to end what it started."""
COMMANDS: tuple[tuple[Sequence[int], Sequence[str]], ...] = (
    ((7,), ("-m", "benchmarks.fairness")),
    ((6,), ("-m", "benchmarks.overload")),
    ((3,), ("-m", "benchmarks.chaos")),
    ((9, 8), ("-m", "benchmarks.checks")),
    ((10,), ("-m", "benchmarks.mixed")),
    ((2,), ("-m", "benchmarks.truncations", "--streams", str(STREAMS))),
    ((4, 5), ("-m", "benchmarks.reliability", "--rounds", str(ROUNDS))),
    ((1,), ("-m", "benchmarks.soak")),
    # The cases up to 10,000 are in the results already.
    ((8,), ("-m", "benchmarks.fuzz", "--cases", str(GENERATED))),
)
"""What is run for which figures, the shortest first."""


def due(figure: Figure, folder: Path, now: datetime, days: float) -> bool:
    """Whether a figure is to be measured: it was not, not by enough, or too long ago."""
    found = figure.read(folder)
    if found is None or not found.enough:
        return True
    old = not found.written or now - datetime.fromisoformat(found.written) > timedelta(days=days)
    return old and not figure.adds_up


def _run(console: Console, words: Sequence[str], until: float) -> None:
    """One benchmark, which is ended when the time is over."""
    console.print(f"$ python {shlex.join(words)}", highlight=False)
    process = subprocess.Popen([sys.executable, *words], cwd=ROOT, start_new_session=True)
    try:
        status = process.wait(max(0.0, until - time.monotonic()))
        if status:
            console.print(f"ended with {status}: its figure stays as it was")
    except subprocess.TimeoutExpired:
        console.print("the time is over: call this again to go on")
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a benchmark, and all that it started."""
    for sent in (signal.SIGINT, signal.SIGKILL):
        if process.poll() is None:
            os.killpg(process.pid, sent)
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                continue


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.dashboard", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--minutes", type=float, default=150.0, help="for all that is to be measured")
    parser.add_argument("--days", type=float, default=30.0, help="what is older is measured again")
    parser.add_argument("--no-runs", action="store_true", help="only show what was measured")
    given = parser.parse_args()
    console = runs.console()
    until = time.monotonic() + 60 * given.minutes
    by_number = {figure.number: figure for figure in FIGURES}
    for numbers, words in () if given.no_runs else COMMANDS:
        now = datetime.now(UTC)
        wanted = any(due(by_number[number], RESULTS, now, given.days) for number in numbers)
        if wanted and time.monotonic() < until:
            _run(console, words, until)
    pages.main()
    console.print(table().rich())


if __name__ == "__main__":
    main()

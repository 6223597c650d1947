"""What the programs that compare sides share: options, a journal, and the file that a run is written to."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TypedDict, TypeVar

import msgspec
from rich.console import Console

from benchmarks.grids import Bar
from benchmarks.journal import Journal
from benchmarks.machine import machine, slug

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
BUILD = ROOT / "build"
LOG_WIDTH = 150
"""Characters, where no terminal says how many there are: tables are cut off in fewer."""

Machine = dict[str, str | int]


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a benchmark, as the JSON file of its results holds it; subclasses say what was measured."""

    written: str
    """Moment, ISO 8601 in UTC."""
    command: str
    machine: Machine
    versions: dict[str, str]
    bars: list[Bar] = []

    @property
    def date(self) -> str:
        return self.written[:10]

    @property
    def place(self) -> str:
        """The machine, as tables name it."""
        return "{processor}, {cores} cores, {system}".format(**self.machine)

    def write(self, folder: Path, kind: str, more: str = "") -> Path:
        """Into a file named by the kind of benchmark, the day, the machine, and what else tells it apart."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{kind}-{self.date}-{slug(self.machine)}{more}.json"
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n")
        return path


R = TypeVar("R", bound=Run)


class About(TypedDict):
    """The fields of a `Run` that are the same whatever is measured."""

    written: str
    command: str
    machine: Machine
    versions: dict[str, str]


def about(kind: str, packages: Sequence[str]) -> About:
    """A run that ends now; `packages` are those whose versions matter."""
    return {
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["python", "-m", f"benchmarks.{kind}", *map(_shown, sys.argv[1:])]),
        "machine": machine(),
        "versions": {name: _version(name) for name in packages},
    }


def read(folder: Path, kind: str, type: type[R]) -> list[R]:
    """Every run of a benchmark in the folder, the newest first."""
    found = [msgspec.json.decode(path.read_bytes(), type=type) for path in folder.glob(f"{kind}-*.json")]
    return sorted(found, key=lambda one: one.written, reverse=True)


def newest(folder: Path, kind: str, type: type[R]) -> R | None:
    """The newest run of a benchmark in the folder; None where there is none."""
    return next(iter(read(folder, kind, type)), None)


def parser(kind: str, about: str, parts: Sequence[str], quick: str) -> argparse.ArgumentParser:
    """The options that all have. `parts` are what `--only` chooses from, `quick` tells how long it takes."""
    found = argparse.ArgumentParser(prog=f"python -m benchmarks.{kind}", description=about)

    def some(text: str) -> tuple[str, ...]:
        chosen = tuple(text.split(","))
        if unknown := set(chosen) - set(parts):
            raise argparse.ArgumentTypeError(f"there is no {', '.join(sorted(unknown))}")
        return chosen

    found.add_argument("--quick", action="store_true", help=quick)
    found.add_argument("--only", type=some, default=tuple(parts), help=f"some of {','.join(parts)}")
    found.add_argument("--fresh", action="store_true", help="forget what a run that was cut off measured")
    found.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    return found


def console() -> Console:
    found = Console(log_path=False)
    if not found.is_terminal:
        found.width = LOG_WIDTH
    return found


def journal(
    kind: str, given: argparse.Namespace, console: Console, packages: Sequence[str], *facts: object
) -> Journal:
    """What a run that was cut off measured: one file for each kind of run, since other options, code,
    versions, machines or `facts` are not to be mixed up."""
    code = b"".join(path.read_bytes() for path in sorted((ROOT / "src").rglob("*.py")))
    told = (
        given.quick,
        given.only,
        machine(),
        [_version(name) for name in packages],
        hashlib.sha256(code).hexdigest(),
        *facts,
    )
    name = f"journal-{hashlib.sha256(repr(told).encode()).hexdigest()[:12]}.jsonl"
    found = Journal(BUILD / kind / name, lambda step: console.log(step, highlight=False))
    if given.fresh:
        found.remove()
    return found


def _shown(word: str) -> str:
    """A word of the command, but for where folders lie on this machine."""
    return "FOLDER" if Path(word).is_absolute() else word


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # not for this system
        return "none"


def end_with_sigterm() -> None:
    """A run that is ended takes along what it started. Called in the task that runs."""
    running = asyncio.current_task()
    assert running is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)


def finish(
    given: argparse.Namespace,
    console: Console,
    journal: Journal,
    write: Callable[[Path], Path],
    parts: Sequence[str],
) -> None:
    """Write a complete run, and let the next one measure anew."""
    if given.quick or set(given.only) != set(parts):
        console.print("not written: a quick run, or one of some parts only")
    else:
        console.print(f"written to {write(given.out)}")
    journal.remove()

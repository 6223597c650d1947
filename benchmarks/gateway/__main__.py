"""Measure what the gateway costs for each request and token, beside other gateways, on this machine.

    python -m benchmarks.gateway [--quick] [--peers-folder FOLDER] [--only SIDES] [--fresh] [--out FOLDER]

The gateway that is measured has one core to itself; the upstream and the clients share another. Peers are
installed at the first run, which takes a network. A run that is cut off goes on where it stopped. A full run
writes its results to `benchmarks/results`; a quick one, or one of some sides only, shows them alone.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import shlex
import signal
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import msgspec
import uvloop
from rich.console import Console

from benchmarks.gateway import tables
from benchmarks.gateway.bars import bars
from benchmarks.gateway.lineup import NAMES, Lineup, cores, upstream
from benchmarks.gateway.measure import commit_ms
from benchmarks.gateway.peers import PEERS
from benchmarks.gateway.plan import FULL, QUICK, Plan
from benchmarks.gateway.values import ANTIPHON, Results, Side, Turn
from benchmarks.report import machine
from benchmarks.speech.journal import Journal
from benchmarks.speech.pages import RESULTS, ROOT

VERSIONS = ("antiphon", "uvicorn", "uvloop", "httptools", "aiohttp", "msgspec", "starlette")
BUILD = ROOT / "build" / "gateway"
LOG_WIDTH = 150
"""Characters, where no terminal says how many there are: tables are cut off in fewer."""


def main() -> None:
    given = _arguments()
    console = Console(log_path=False)
    if not console.is_terminal:
        console.width = LOG_WIDTH
    plan = QUICK if given.quick else FULL
    journal = Journal(_journal_path(given), lambda step: console.log(step, highlight=False))
    if given.fresh:
        journal.remove()
    found = uvloop.run(_run(given, plan, journal))
    tables.show(console, found)
    if given.quick or set(given.only) != set(NAMES):
        console.print("not written to benchmarks/results: a quick run, or one of some sides only")
    else:
        console.print(f"written to {found.write(given.out)}")
    journal.remove()  # complete: the next run measures anew


async def _run(given: argparse.Namespace, plan: Plan, journal: Journal) -> Results:
    gateway_core, load_core = cores()
    os.sched_setaffinity(0, {load_core})
    running = asyncio.current_task()
    assert running is not None
    # A run that is ended takes along what it started.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    turns: dict[str, list[Turn]] = {name: [] for name in given.only}
    with upstream(given.peers_folder, load_core) as port:
        lineup = Lineup(given.peers_folder, gateway_core, load_core, port)
        for number in range(1, plan.rounds + 1):
            for name, found in turns.items():
                step = f"round {number}: {name}"

                async def measure(name: str = name, hold: bool = number == 1) -> Turn:
                    return await lineup.turn(name, plan, hold=hold)

                found.append(await journal.once(step, Turn, measure))
    versions = {ANTIPHON: version("antiphon")} | {peer.name: peer.version for peer in PEERS}
    results = Results(
        written=datetime.now(UTC).isoformat(timespec="seconds"),
        command=shlex.join(["python", "-m", "benchmarks.gateway", *sys.argv[1:]]),
        machine=machine(),
        versions={name: version(name) for name in VERSIONS},
        plan=msgspec.to_builtins(plan),
        commit_ms=commit_ms(given.peers_folder),
        sides=[Side(name=name, version=versions.get(name, ""), turns=turns[name]) for name in turns],
    )
    return msgspec.structs.replace(results, bars=bars(results))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gateway", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one short round: two minutes")
    parser.add_argument(
        "--peers-folder", type=_folder, default=BUILD, help="where peers are installed, and data folders lie"
    )
    parser.add_argument("--only", type=_sides, default=NAMES, help=f"some of {','.join(NAMES)}")
    parser.add_argument("--fresh", action="store_true", help="forget what a run that was cut off measured")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    return parser.parse_args()


def _folder(text: str) -> Path:
    return Path(text).absolute()


def _sides(text: str) -> tuple[str, ...]:
    sides = tuple(text.split(","))
    if unknown := set(sides) - set(NAMES):
        raise argparse.ArgumentTypeError(f"no such side: {', '.join(sorted(unknown))}")
    return sides


def _journal_path(given: argparse.Namespace) -> Path:
    """One file for each kind of run: other options, code or machine are not to be mixed up."""
    code = b"".join(path.read_bytes() for path in sorted((ROOT / "src").rglob("*.py")))
    facts = (
        given.quick,
        given.only,
        machine(),
        [version(name) for name in VERSIONS],
        hashlib.sha256(code).hexdigest(),
    )
    return BUILD / f"journal-{hashlib.sha256(repr(facts).encode()).hexdigest()[:12]}.jsonl"


if __name__ == "__main__":
    main()

"""Measure what the gateway costs for each request and token, beside other gateways, on this machine.

    python -m benchmarks.gateway [--quick] [--peers-folder FOLDER] [--only SIDES] [--fresh] [--out FOLDER]

The gateway that is measured has one core to itself; the upstream and the clients share another. Peers are
installed at the first run, which takes a network. A run that is cut off goes on where it stopped. A full run
writes its results to `benchmarks/results`; a quick one, or one of some sides only, shows them alone.
"""

from __future__ import annotations

import argparse
import os
from importlib.metadata import version
from pathlib import Path

import msgspec
import uvloop

from benchmarks import runs
from benchmarks.gateway import tables
from benchmarks.gateway.bars import bars
from benchmarks.gateway.lineup import NAMES, Lineup, cores, upstream
from benchmarks.gateway.measure import commit_ms
from benchmarks.gateway.peers import PEERS
from benchmarks.gateway.plan import FULL, QUICK, Plan
from benchmarks.gateway.values import ANTIPHON, KIND, Results, Side, Turn
from benchmarks.journal import Journal

PACKAGES = ("antiphon", "uvicorn", "uvloop", "httptools", "aiohttp", "msgspec", "starlette")


def main() -> None:
    given = _arguments()
    console = runs.console()
    journal = runs.journal(KIND, given, console, PACKAGES)
    found = uvloop.run(_run(given, QUICK if given.quick else FULL, journal))
    tables.show(console, found)
    runs.finish(given, console, journal, found.save, NAMES)


async def _run(given: argparse.Namespace, plan: Plan, journal: Journal) -> Results:
    gateway_core, load_core = cores()
    os.sched_setaffinity(0, {load_core})
    runs.end_with_sigterm()
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
        **runs.about(KIND, PACKAGES),
        plan=msgspec.to_builtins(plan),
        commit_ms=commit_ms(given.peers_folder),
        sides=[Side(name=name, version=versions.get(name, ""), turns=turns[name]) for name in turns],
    )
    return msgspec.structs.replace(results, bars=bars(results))


def _arguments() -> argparse.Namespace:
    parser = runs.parser(KIND, __doc__.splitlines()[0], NAMES, "one short round: two minutes")
    parser.add_argument(
        "--peers-folder",
        type=lambda text: Path(text).absolute(),
        default=runs.BUILD / KIND,
        help="where peers are installed, and data folders lie",
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()

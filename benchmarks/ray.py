"""Measure chat whose engine runs on a Ray cluster beside chat whose engine is a child of the gateway.

    python -m benchmarks.ray [--quick] [--fresh] [--out FOLDER]

Two servers with their defaults and the bundled model, one of which has its engines on a cluster of this one
machine. They take turns, and what counts is the median of the ratios of rounds that follow each other: on a
machine that does other things as well, that is steadier than the ratio of medians. Half way both are started
anew in the other order, since the one that comes first finds the better memory. The cluster's own processes
run beside both.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from rich.console import Console
from tests.ray_cluster import ray_cluster

from antiphon.cores import cores
from benchmarks import grids, runs
from benchmarks.chat import loads
from benchmarks.chat.client import Target
from benchmarks.chat.plan import Plan
from benchmarks.chat.sides import MODEL, SETTINGS
from benchmarks.chat.values import Round
from benchmarks.figures import median
from benchmarks.grids import Bar, Grid, least
from benchmarks.journal import Journal
from benchmarks.processes import antiphon

KIND = "ray"
PACKAGES = ("antiphon", "ray", "openvino-genai", "xllamacpp", "aiohttp")
LOCAL, RAY = "local", "Ray"
SIDES = (LOCAL, RAY)
CLIENTS = (1, 8, 32)
FULL = Plan(clients=CLIENTS, rounds=12, least_requests=10, answer=64)
QUICK = Plan(clients=(1, 8), rounds=2, least_requests=2, answer=32)
RATIO = 0.97
"""Of the local side's tokens a second, and of its first tokens' speed."""


class Turn(msgspec.Struct, frozen=True):
    """Both sides under the same load, one directly after the other."""

    local: Round
    ray: Round
    busy: float
    """Processes of this machine that wanted to run before it, beside which it was measured."""


class Load(msgspec.Struct, frozen=True):
    clients: int
    turns: list[Turn]

    def ratio(self, better: Callable[[Round], float]) -> float:
        """Ray's to the local side's, the median of all turns."""
        return median([better(turn.ray) / better(turn.local) for turn in self.turns])


class Results(runs.Run, frozen=True, kw_only=True):
    threads: int
    plan: dict[str, float | int | tuple[int, ...]]
    loads: list[Load]


def rate(found: Round) -> float:
    return found.tokens_per_second


def promptness(found: Round) -> float:
    return 1 / found.first_p50


def bars(found: list[Load]) -> list[Bar]:
    made = []
    for load in found:
        clients = f"{load.clients} client{'s' if load.clients > 1 else ''}"
        made.append(least(f"{clients}: tokens a second, to the local side's", load.ratio(rate), RATIO))
        made.append(least(f"{clients}: speed of first tokens, likewise", load.ratio(promptness), RATIO))
    return made


def table(found: list[Load]) -> Grid:
    """The medians of both sides, and of the ratios."""

    def row(load: Load) -> tuple[str, ...]:
        local = [turn.local for turn in load.turns]
        ray = [turn.ray for turn in load.turns]
        return (
            str(load.clients),
            *(f"{median([rate(one) for one in side]):.1f}" for side in (local, ray)),
            f"{load.ratio(rate):.3f}",
            *(f"{median([one.first_p50 for one in side]) * 1000:.0f}" for side in (local, ray)),
            f"{load.ratio(promptness):.3f}",
            f"{min(turn.busy for turn in load.turns):.1f} to {max(turn.busy for turn in load.turns):.1f}",
        )

    columns = (
        "clients", "tokens/s, local", "Ray", "ratio", "first token, ms, local", "Ray", "ratio", "load before",
    )  # fmt: skip
    return Grid("Through a Ray cluster beside the local runtime", columns, [row(load) for load in found])


def newest(folder: Path) -> Callable[[str], str] | None:
    """Gives the text of a table of docs/ray.md, for the newest run; None where there is none."""
    found = runs.newest(folder, KIND, Results)
    return partial(block, found) if found else None


def block(found: Results, name: str) -> str:
    """Raises `KeyError` for a table that does not exist."""
    return BLOCKS[name](found)


def _about(found: Results) -> str:
    """The machine, what was run and the day."""
    return (
        f"{found.place}; Ray {found.versions['ray']}; medians of {found.plan['rounds']} turns; {found.date}."
    )


def _loads(found: Results) -> str:
    grid = table(found.loads)
    return f"{grid.title}:\n\n{grid.markdown()}"


BLOCKS: dict[str, Callable[[Results], str]] = {"about": _about, "loads": _loads}


def main() -> None:
    given = runs.parser(KIND, __doc__.splitlines()[0], ("clients",), "some requests: a minute").parse_args()
    console = runs.console()
    journal = runs.journal(KIND, given, console, PACKAGES)
    found = asyncio.run(_run(QUICK if given.quick else FULL, journal))
    _show(console, found)
    runs.finish(given, console, journal, lambda folder: found.write(folder, KIND), ("clients",))


def _show(console: Console, found: Results) -> None:
    grids.show(console, _about(found), [table(found.loads), grids.bars(found.bars)])


async def _run(plan: Plan, journal: Journal) -> Results:
    turns: dict[int, list[Turn]] = {clients: [] for clients in plan.clients}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="antiphon-")))
        cluster = stack.enter_context(ray_cluster())  # here, since Ray wants the main thread
        cluster.add(cpus=cores())
        for half, order in enumerate((SIDES, SIDES[::-1])):
            with ExitStack() as servers:
                targets = _start(servers, folder / str(half), cluster.address, order)
                runs.end_with_sigterm()  # Ray had its own way
                for side in SIDES:
                    await loads.clients(targets[side], plan, max(plan.clients), "warm-up")
                for clients, done in turns.items():
                    done += await _turns(targets, plan, clients, half, journal)
    found = [Load(clients, done) for clients, done in turns.items()]
    return Results(
        **runs.about(KIND, PACKAGES),
        threads=cores(),
        plan=msgspec.to_builtins(plan),
        loads=found,
        bars=bars(found),
    )


def _start(stack: ExitStack, folder: Path, address: str, order: Sequence[str]) -> dict[str, Target]:
    """Both servers, one after the other."""
    given = {LOCAL: {}, RAY: {"ANTIPHON_RUNTIME": "ray", "ANTIPHON_RAY_ADDRESS": address}}
    targets = {}
    for side in order:
        server = stack.enter_context(antiphon(folder / side, SETTINGS | given[side]))
        targets[side] = Target(server.url, MODEL, server.key)
    return targets


async def _turns(
    targets: dict[str, Target], plan: Plan, clients: int, half: int, journal: Journal
) -> list[Turn]:
    """Those of a half. Which side is first changes from turn to turn."""

    async def turn(number: int) -> Turn:
        busy, done = os.getloadavg()[0], {}
        for side in SIDES if number % 2 else SIDES[::-1]:
            done[side] = await loads.clients(targets[side], plan, clients, f"{clients}-{number}")
        return Turn(done[LOCAL], done[RAY], busy)

    numbers = range(half * plan.rounds // 2, (half + 1) * plan.rounds // 2)
    steps = [(f"{clients} clients, round {number}", number) for number in numbers]
    return [await journal.once(step, Turn, lambda number=number: turn(number)) for step, number in steps]


if __name__ == "__main__":
    main()

"""Measure what others' load does to an organization with an instance of its own.

    python -m benchmarks.isolation [--engines paced|real] [--quick] [--fresh] [--out FOLDER]

Two organizations ask one server in turns: the one with an instance alone, then beside ten times its load on
the shared service. What is compared are its own answers, by their 99th percentile, and what counts is the
median of the ratios of rounds. Paced engines only keep time, on the processors that are theirs, and have a
bar; real ones compute, and share the machine's memory and caches.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from rich.console import Console

from benchmarks import grids, runs
from benchmarks.faults import until
from benchmarks.figures import median, percentile
from benchmarks.grids import Bar, Grid, most
from benchmarks.journal import Journal
from benchmarks.processes import Server, antiphon

KIND = "isolation"
PACKAGES = ("antiphon", "openvino-genai", "xllamacpp", "aiohttp")
PROGRAMS = {
    "paced": (sys.executable, str(Path(__file__).parents[1] / "tests" / "paced_antiphon.py")),
    "real": (str(Path(sys.executable).with_name("antiphon")),),
}
SNAPSHOT = "smollm2-135m-instruct-2024-11-01"
MODELS = f"""
[snapshots."{SNAPSHOT}"]
slots = 16
ENGINE

[snapshots."{SNAPSHOT}".dedicated]
price_per_hour = "1"

[aliases]
"whisper-1" = false
"""
"""No speech engine, which would only take time."""
ENGINES = {"paced": 'engine = "llama"\nneeds = { cpus = 1 }', "real": ""}
"""Paced ones have a processor each; real ones all of them, as they are shipped."""
SETTINGS = {
    "PACED": "token_delay=0.02",
    "ANTIPHON_REQUESTS_PER_MINUTE": "0",
    "ANTIPHON_TOKENS_PER_MINUTE": "0",
    "ANTIPHON_QUEUE_PER_ORGANIZATION": "1000",
    "ANTIPHON_LOG_LEVEL": "warning",
}
CLIENTS, CROWD = 2, 20
TOKENS = 20
LOAD = 4
ROUNDS, SECONDS = 5, 20.0
QUICK_ROUNDS, QUICK_SECONDS = 1, 3.0
READY_SECONDS = 120.0
WORST = 1.25
"""How many times as long the 99th percentile may be beside others."""


class Turn(msgspec.Struct, frozen=True):
    """99th percentiles of the instance's answers in seconds, alone and directly after that beside others."""

    alone: float
    beside: float
    others: int
    """Answers that those were given meanwhile."""

    @property
    def ratio(self) -> float:
        return self.beside / self.alone


class Results(runs.Run, frozen=True, kw_only=True):
    engines: str
    clients: int
    crowd: int
    seconds: float
    turns: list[Turn]

    @property
    def ratio(self) -> float:
        return median([turn.ratio for turn in self.turns])


def bars(engines: str, turns: Sequence[Turn]) -> list[Bar]:
    """Real engines share what no processor of their own keeps apart: nothing is promised of them."""
    if engines != "paced":
        return []
    ratio = median([turn.ratio for turn in turns])
    return [most("99th percentile beside others, to that alone", ratio, WORST, "x", 2)]


def table(found: Sequence[Results]) -> Grid:
    """One row for each kind of engines."""

    def row(one: Results) -> tuple[str, ...]:
        alone, beside = ([getattr(turn, side) for turn in one.turns] for side in ("alone", "beside"))
        verdict = "none" if not one.bars else one.bars[0].wanted
        return (
            one.engines,
            f"{median(alone) * 1000:.0f}",
            f"{median(beside) * 1000:.0f}",
            f"{one.ratio:.2f}",
            verdict + ("" if not one.bars else ": met" if one.bars[0].met else ": missed"),
            f"{sum(turn.others for turn in one.turns):,}",
        )

    columns = ("engines", "alone, p99 ms", "beside others", "ratio", "bar", "answers to others")
    title = f"An instance asked by {CLIENTS} clients, alone and beside {CROWD} clients of the shared service"
    return Grid(title, columns, [row(one) for one in found])


GRIDS: dict[str, Callable[[Sequence[Results]], Grid]] = {"p99": table}


def newest(folder: Path) -> Callable[[str], str] | None:
    """Gives the text of a table with that name, for the newest run of each kind; None where there is none."""
    every = runs.read(folder, KIND, Results)
    found = [next((one for one in every if one.engines == engines), None) for engines in PROGRAMS]
    there = [one for one in found if one is not None]
    return partial(block, there) if there else None


def block(found: Sequence[Results], name: str) -> str:
    """Raises `KeyError` for a table that does not exist."""
    grid = GRIDS[name](found)
    about = f"{found[0].place}; {found[0].date}"
    return f"{about}. {grid.title}:\n\n{grid.markdown()}"


class Tenant:
    """An organization, and its key for requests."""

    def __init__(self, server: Server, program: Sequence[str], name: str) -> None:
        self._words, self._home, self.name = program, server.home, name
        self.said("orgs", "create", name)
        self.key = self.said("keys", "create", "--org", name)
        self.url = server.url

    def said(self, *words: str) -> str:
        command = [*self._words, *words, "--home", str(self._home)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    async def load(self, clients: int, seconds: float) -> list[float]:
        """How long each answer took, of so many clients that ask again and again."""
        took: list[float] = []
        until = time.monotonic() + seconds
        headers = {"authorization": f"Bearer {self.key}"}
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(headers=headers, connector=connector) as session:

            async def ask() -> None:
                while time.monotonic() < until:
                    began = time.monotonic()
                    async with session.post(f"{self.url}/chat/completions", json=_body()) as answer:
                        text = await answer.text()
                        assert answer.status == 200, text
                    took.append(time.monotonic() - began)

            await asyncio.gather(*(ask() for _ in range(clients)))
        return took


def _body() -> dict[str, Any]:
    messages = [{"role": "user", "content": "Tell me of the sea."}]
    return {"model": SNAPSHOT, "messages": messages, "max_tokens": TOKENS}


async def _ready(own: Tenant) -> None:
    async def ready() -> bool:
        [shown] = json.loads(own.said("dedicated", "list", "--org", own.name, "--json"))
        return bool(shown["ready"] == "1/1")

    await until(ready, READY_SECONDS)
    await own.load(CLIENTS, 2)


async def _turns(server: Server, engines: str, quick: bool, journal: Journal) -> list[Turn]:
    runs.end_with_sigterm()
    rounds, seconds = (QUICK_ROUNDS, QUICK_SECONDS) if quick else (ROUNDS, SECONDS)
    own, others = (Tenant(server, PROGRAMS[engines], name) for name in ("own", "others"))
    own.said("dedicated", "create", SNAPSHOT, "--org", "own", "--load", str(LOAD))
    await _ready(own)

    async def turn() -> Turn:
        alone = await own.load(CLIENTS, seconds)
        mine, theirs = await asyncio.gather(own.load(CLIENTS, seconds), others.load(CROWD, seconds))
        return Turn(percentile(alone, 99), percentile(mine, 99), len(theirs))

    return [await journal.once(f"{engines}, round {number}", Turn, turn) for number in range(rounds)]


def _run(engines: str, quick: bool, journal: Journal) -> Results:
    with tempfile.TemporaryDirectory(prefix="antiphon-") as folder:
        home = Path(folder) / "home"
        home.mkdir()
        (home / "models.toml").write_text(MODELS.replace("ENGINE", ENGINES[engines]))
        with antiphon(home, SETTINGS, program=PROGRAMS[engines]) as server:
            turns = asyncio.run(_turns(server, engines, quick, journal))
    return Results(
        **runs.about(KIND, PACKAGES),
        engines=engines,
        clients=CLIENTS,
        crowd=CROWD,
        seconds=QUICK_SECONDS if quick else SECONDS,
        turns=turns,
        bars=bars(engines, turns),
    )


def _show(console: Console, found: Results) -> None:
    grids.show(console, f"{found.place}; {found.date}", [table([found]), grids.bars(found.bars)])


def main() -> None:
    parser = runs.parser(KIND, __doc__.splitlines()[0], ("rounds",), "one short round")
    parser.add_argument("--engines", choices=tuple(PROGRAMS), default="paced")
    given = parser.parse_args()
    console = runs.console()
    journal = runs.journal(KIND, given, console, PACKAGES, given.engines)
    found = _run(given.engines, given.quick, journal)
    _show(console, found)
    write = partial(found.write, kind=KIND, more=f"-{given.engines}")
    runs.finish(given, console, journal, write, ("rounds",))


if __name__ == "__main__":
    main()

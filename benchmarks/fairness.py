"""Measure what an organization that asks for a hundred times as much does to the others.

    python -m benchmarks.fairness [--quick] [--fresh] [--out FOLDER]

Three organizations ask at a steady rate, alone and beside a fourth that asks for a hundred times as much as
one of them, in turns. What is compared are the answers of the three, by the 99th percentile of the time to
the first token and of whole answers; what counts is the median of the ratios of rounds. Then all have more
to ask than there is room for, the fourth still the most, and what counts is how evenly they are served
(Jain's index). Engines only keep time and no rate limits anybody: what is measured is the gateway's own
fairness.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import msgspec
from rich.console import Console

from benchmarks import grids, load, runs
from benchmarks.figures import median
from benchmarks.grids import Bar, Grid, most
from benchmarks.isolation import Tenant
from benchmarks.journal import Journal
from benchmarks.load import Asked, Generators, offered, p99, served

KIND = "fairness"
PACKAGES = ("antiphon", "aiohttp")
VICTIMS = 3
RATE = 2.0
"""Requests a second of each of them: together a fifth of what the engine can answer."""
TIMES = 100
CLIENTS, CROWD = 12, 200
"""Connections of each while all have too much to ask: those of the three, and of the fourth."""
ROUNDS, SECONDS = 5, 40.0
QUICK_ROUNDS, QUICK_SECONDS = 1, 8.0
WORST = 1.5
EVEN = 0.95


class Turn(msgspec.Struct, frozen=True):
    """99th percentiles of the three's answers in seconds, alone and beside the fourth."""

    first_alone: float
    first_beside: float
    took_alone: float
    took_beside: float
    unserved: int
    """Of the three's requests beside the fourth, those that got no whole answer."""
    served: list[int]
    """Answers while all had too much to ask; the fourth's last."""

    @property
    def ratio(self) -> float:
        """The worse of the two."""
        return max(self.first_beside / self.first_alone, self.took_beside / self.took_alone)

    @property
    def even(self) -> float:
        return jain(self.served)


class Results(runs.Run, frozen=True, kw_only=True):
    seconds: float
    turns: list[Turn]


def jain(shares: Sequence[float]) -> float:
    """1 if all are the same, 1/n if one has everything, 0 if nobody has anything."""
    squares = len(shares) * sum(share * share for share in shares)
    return sum(shares) ** 2 / squares if squares else 0.0


def bars(turns: Sequence[Turn]) -> list[Bar]:
    even = median([turn.even for turn in turns])
    unserved = sum(turn.unserved for turn in turns)
    ratio = median([turn.ratio for turn in turns])
    return [
        most("the others' 99th percentile beside it, to that alone", ratio, WORST, "x", 2),
        Bar(name="Jain's index", wanted=f"at least {EVEN:g}", measured=f"{even:.3f}", met=even >= EVEN),
        Bar(
            name="the others' requests without an answer",
            wanted="0",
            measured=str(unserved),
            met=not unserved,
        ),
    ]


def table(found: Results) -> Grid:
    def row(name: str, alone: Sequence[float], beside: Sequence[float]) -> tuple[str, ...]:
        ratio = median([b / a for a, b in zip(alone, beside, strict=True)])
        return (name, f"{median(alone) * 1000:.0f}", f"{median(beside) * 1000:.0f}", f"{ratio:.2f}")

    turns = found.turns
    rows = [
        row("first token", [t.first_alone for t in turns], [t.first_beside for t in turns]),
        row("whole answer", [t.took_alone for t in turns], [t.took_beside for t in turns]),
    ]
    title = (
        f"{VICTIMS} organizations that ask {RATE:g} times a second each, alone and beside one that asks "
        f"{TIMES} times as often"
    )
    return Grid(title, ("", "alone, p99 ms", "beside it", "ratio"), rows)


BLOCKS: dict[str, Callable[[Results], Grid | None]] = {"p99": table, "bars": lambda one: grids.bars(one.bars)}


def newest(folder: Path) -> Callable[[str], str] | None:
    """Gives the text of a table with that name, for the newest run; None where there is none."""
    found = runs.newest(folder, KIND, Results)
    return partial(block, found) if found else None


def block(found: Results, name: str) -> str:
    """Raises `KeyError` for a table that does not exist."""
    grid = BLOCKS[name](found)
    return f"{found.place}; {found.date}. {grid.title}:\n\n{grid.markdown()}" if grid else ""


async def _victims(victims: Sequence[Tenant], seconds: float, seed: int) -> list[Asked]:
    parts = (offered(one, RATE, seconds, seed + n) for n, one in enumerate(victims))
    return [asked for part in await asyncio.gather(*parts) for asked in part]


async def turn(
    victims: Sequence[Tenant], loud: Tenant, others: Generators, seconds: float, seed: int
) -> Turn:
    """`others`: the processes from which the loud one asks."""
    alone = served(await _victims(victims, seconds, seed))
    asked, _ = await asyncio.gather(
        _victims(victims, seconds, seed), others.offered(loud, TIMES * RATE, seconds, seed)
    )
    beside = served(asked)
    crowd = (load.asking(one, CLIENTS, seconds / 2) for one in victims)
    shares = await asyncio.gather(*crowd, others.asking(loud, CROWD, seconds / 2))
    return Turn(
        first_alone=p99([one.first for one in alone]),
        first_beside=p99([one.first for one in beside]),
        took_alone=p99([one.took for one in alone]),
        took_beside=p99([one.took for one in beside]),
        unserved=len(asked) - len(beside),
        served=[len(served(share)) for share in shares],
    )


async def _turns(quick: bool, journal: Journal) -> list[Turn]:
    runs.end_with_sigterm()
    rounds, seconds = (QUICK_ROUNDS, QUICK_SECONDS) if quick else (ROUNDS, SECONDS)
    with load.paced() as server, Generators(1) as others:
        *victims, loud = load.tenants(server, *(f"victim-{n}" for n in range(VICTIMS)), "loud")
        await _victims(victims, 2, 0)
        return [
            await journal.once(f"round {n}", Turn, partial(turn, victims, loud, others, seconds, 10 * n))
            for n in range(rounds)
        ]


def _show(console: Console, found: Results) -> None:
    grids.show(console, f"{found.place}; {found.date}", [table(found), grids.bars(found.bars)])


def main() -> None:
    parser = runs.parser(KIND, __doc__.splitlines()[0], ("rounds",), "one short round")
    given = parser.parse_args()
    console = runs.console()
    journal = runs.journal(KIND, given, console, PACKAGES)
    turns = asyncio.run(_turns(given.quick, journal))
    seconds = QUICK_SECONDS if given.quick else SECONDS
    found = Results(**runs.about(KIND, PACKAGES), seconds=seconds, turns=turns, bars=bars(turns))
    _show(console, found)
    runs.finish(given, console, journal, partial(found.write, kind=KIND), ("rounds",))


if __name__ == "__main__":
    main()

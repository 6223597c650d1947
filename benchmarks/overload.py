"""Measure what ten times the load that can be answered does to what is answered, and to who is refused.

    python -m benchmarks.overload [--quick] [--fresh] [--out FOLDER]

First the peak: twice as many clients as there are places ask again and again, of four organizations. Then,
in the same round, requests come at ten times that rate, whether earlier ones were answered or not. What
counts is the median of rounds: whole answers a second, to those of the peak; the 99th percentile of a
refusal; and that each refusal says when to come again. Engines only keep time and no rate limits anybody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import msgspec
from rich.console import Console

from benchmarks import grids, load, runs
from benchmarks.figures import median, percentile
from benchmarks.grids import Bar, Grid, most
from benchmarks.isolation import Tenant
from benchmarks.journal import Journal
from benchmarks.load import ANSWER_SECONDS, SLOTS, Asked, Generators, p99, refused, served

KIND = "overload"
PACKAGES = ("antiphon", "aiohttp")
ORGANIZATIONS = 4
TIMES = 10
ROUNDS, SECONDS = 5, 30.0
QUICK_ROUNDS, QUICK_SECONDS = 1, 6.0
GOODPUT = 0.9
REFUSAL = 0.05


class Turn(msgspec.Struct, frozen=True):
    """Whole answers a second at the peak and under the load; seconds that a refusal took."""

    peak: float
    goodput: float
    asked: float
    """Requests a second."""
    answered: int
    refused: int
    refusal_median: float
    refusal_p99: float
    unadvised: int
    """Refusals without `Retry-After`."""
    others: int
    """Requests that were neither answered whole nor refused."""

    @property
    def ratio(self) -> float:
        return self.goodput / self.peak


class Results(runs.Run, frozen=True, kw_only=True):
    seconds: float
    turns: list[Turn]


def bars(turns: Sequence[Turn]) -> list[Bar]:
    ratio = median([turn.ratio for turn in turns])
    wrong = sum(turn.unadvised + turn.others for turn in turns)
    slowest = median([turn.refusal_p99 for turn in turns])
    return [
        Bar(
            name=f"whole answers a second at {TIMES} times the peak's load, to the peak",
            wanted=f"at least {GOODPUT:.0%}",
            measured=f"{ratio:.1%}",
            met=ratio >= GOODPUT,
        ),
        most("a refusal, 99th percentile", 1000 * slowest, 1000 * REFUSAL, "ms", 0),
        Bar(
            name="refusals without advice when to come again, and answers that are neither",
            wanted="0",
            measured=str(wrong),
            met=not wrong,
        ),
    ]


def table(found: Results) -> Grid:
    turns = found.turns
    rows = [
        ("asked a second", f"{median([t.asked for t in turns]):.0f}"),
        ("answered a second at the peak", f"{median([t.peak for t in turns]):.1f}"),
        ("answered a second under the load", f"{median([t.goodput for t in turns]):.1f}"),
        ("refused", f"{sum(t.refused for t in turns):,}"),
        ("a refusal, median ms", f"{1000 * median([t.refusal_median for t in turns]):.1f}"),
        ("a refusal, p99 ms", f"{1000 * median([t.refusal_p99 for t in turns]):.1f}"),
    ]
    title = f"{TIMES} times the load that {SLOTS} places can answer, medians of {len(turns)} rounds"
    return Grid(title, ("", "measured"), rows)


BLOCKS: dict[str, Callable[[Results], Grid | None]] = {
    "load": table,
    "bars": lambda one: grids.bars(one.bars),
}


def newest(folder: Path) -> Callable[[str], str] | None:
    """Gives the text of a table with that name, for the newest run; None where there is none."""
    found = runs.newest(folder, KIND, Results)
    return partial(block, found) if found else None


def block(found: Results, name: str) -> str:
    """Raises `KeyError` for a table that does not exist."""
    grid = BLOCKS[name](found)
    return f"{found.place}; {found.date}. {grid.title}:\n\n{grid.markdown()}" if grid else ""


def summed(peak: float, found: Sequence[Asked], asked: float, seconds: float) -> Turn:
    """Of `asked` requests a second, the last of which had its answer after so many seconds, as for `peak`."""
    answered, turned_away = served(found), refused(found)
    took = [one.took for one in turned_away]
    return Turn(
        peak=peak,
        goodput=len(answered) / seconds,
        asked=asked,
        answered=len(answered),
        refused=len(turned_away),
        refusal_median=percentile(took, 50),
        refusal_p99=p99(took),
        unadvised=sum(not one.retry_after for one in turned_away),
        others=len(found) - len(answered) - len(turned_away),
    )


async def turn(callers: Sequence[Tenant], others: Generators, seconds: float, seed: int) -> Turn:
    """`others`: a process for each of the callers."""
    crowds = (others.asking(one, 2 * SLOTS // len(callers), seconds) for one in callers)
    took, parts = await _timed(asyncio.gather(*crowds))
    peak = sum(len(served(part)) for part in parts) / took
    rate = TIMES * SLOTS / ANSWER_SECONDS / len(callers)
    offers = (others.offered(one, rate, seconds, seed + n) for n, one in enumerate(callers))
    took, parts = await _timed(asyncio.gather(*offers))
    found = [asked for part in parts for asked in part]
    return summed(peak, found, len(found) / seconds, took)


async def _timed(work: asyncio.Future[list[list[Asked]]]) -> tuple[float, list[list[Asked]]]:
    loop = asyncio.get_running_loop()
    began = loop.time()
    found = await work
    return loop.time() - began, found


async def _turns(quick: bool, journal: Journal) -> list[Turn]:
    runs.end_with_sigterm()
    rounds, seconds = (QUICK_ROUNDS, QUICK_SECONDS) if quick else (ROUNDS, SECONDS)
    with load.paced() as server, Generators(ORGANIZATIONS) as others:
        callers = load.tenants(server, *(f"caller-{n}" for n in range(ORGANIZATIONS)))
        await load.asking(callers[0], 4, 2)
        return [
            await journal.once(f"round {n}", Turn, partial(turn, callers, others, seconds, 10 * n))
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

"""The tables of a run, the same for the terminal and for the pages."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from rich.console import Console

from benchmarks import grids, runs
from benchmarks.gateway import values
from benchmarks.gateway.bars import added
from benchmarks.gateway.values import Results
from benchmarks.grids import Grid

NONE = "–"


def sides(found: Results) -> Grid:
    """Every side's medians over the rounds."""
    columns = ("side", "requests/s", "p50 / p99 ms", "µs/request", "one client adds ms", "streams/s",
               "µs/chunk", "MiB")  # fmt: skip
    rows = []
    for side in found.sides:
        p50, p99 = (
            side.median(lambda t: t.requests and t.requests.p50),
            side.median(lambda t: t.requests and t.requests.p99),
        )
        rows.append(
            (
                f"{side.name} {side.version}".strip(),
                _figure(side.requests_per_second, 0),
                f"{_figure(p50, 1)} / {_figure(p99, 1)}",
                _figure(side.request_microseconds or None, 0),
                f"{_figure(added(found, side), 2)} / {_figure(added(found, side, 99), 2)}",
                _figure(side.streams_per_second, 0),
                _figure(side.chunk_microseconds, 0),
                _figure(side.resident_mib or None, 0),
            )
        )
    plan = found.plan
    title = f"{plan['connections']} connections on one core, medians of {plan['rounds']} rounds"
    return Grid(title, columns, rows)


def held(found: Results) -> Grid:
    """Many streams for a while."""
    rows = [
        (
            side.name,
            f"{one.late_percent:.3f} %",
            f"{100 * one.arrived:.1f} %",
            f"{100 * one.cores:.0f} %",
            f"{one.microseconds:.0f}",
        )
        for side in found.sides
        if (one := side.held)
    ]
    columns = ("side", "gaps over 250 ms", "chunks that arrived", "of the core", "µs/chunk")
    title = f"{found.plan['held_streams']} streams of 10 tokens a second for {found.plan['held_seconds']:g} s"
    return Grid(title, columns, rows)


def bars(found: Results) -> Grid | None:
    return grids.bars(found.bars)


def problems(found: Results) -> Grid | None:
    """What was not measured, and why."""
    rows = [(side.name, " ".join(problem.split())) for side in found.sides for problem in side.problems]
    return Grid("Not measured", ("side", "why"), rows) if rows else None


GRIDS: dict[str, Callable[[Results], Grid | None]] = {
    "sides": sides,
    "held": held,
    "bars": bars,
    "problems": problems,
}


def show(console: Console, found: Results) -> None:
    grids.show(console, about(found), (make(found) for make in GRIDS.values()))


def newest(folder: Path) -> Callable[[str], str] | None:
    """Gives the text of a table with that name, for the newest run; None where there is none."""
    found = runs.newest(folder, values.KIND, Results)
    return partial(block, found) if found else None


def block(found: Results, name: str) -> str:
    """Raises `KeyError` for a table that does not exist."""
    grid = GRIDS[name](found)
    return f"{about(found)}. {grid.title}:\n\n{grid.markdown()}" if grid else ""


def about(found: Results) -> str:
    """The machine, the disk and the day."""
    return f"{found.place}; a durable commit takes {found.commit_ms:.2f} ms; {found.date}"


def _figure(value: float | None, digits: int) -> str:
    return NONE if value is None else f"{value:,.{digits}f}"

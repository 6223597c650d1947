"""Throughput against latency, load by load: as a table, in characters, and as a PNG."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from rich.table import Table

from antiphon.cli.output import CommandFailed, ExitCode
from antiphon.ledger.levels import Level, Objective, Of

WIDTH, HEIGHT = 60, 12
"""Characters of the drawing."""
NAMES: dict[Of, str] = {"first_token": "first token", "answer": "whole answer"}
NONE = "-"


def table(levels: Sequence[Level], best: Level | None) -> Table:
    """A row for each load; the best one is marked."""
    shown = Table(box=None, pad_edge=False)
    headings = (
        "Load",
        "Answers",
        "Failed",
        "Tokens/s",
        "written",
        "First token p50",
        "p99",
        "Answer p50",
        "p99",
    )
    for heading in headings:
        shown.add_column(heading, justify="right")
    for level in levels:
        waits = (level.first_token.p50, level.first_token.p99, level.answer.p50, level.answer.p99)
        shown.add_row(
            f"{'* ' if level is best else ''}{level.load}",
            f"{level.answered}",
            f"{level.failed}",
            f"{level.throughput:.1f}",
            f"{level.written:.1f}",
            *(NONE if wait is None else f"{wait:.3f} s" for wait in waits),
        )
    return shown


def drawn(levels: Sequence[Level], objective: Objective) -> list[str]:
    """Lines of characters: tokens a second upwards, latency to the right, each load where it is.

    A dotted line stands where the objective is; what takes longer than is shown stands at the right.
    """
    points = _points(levels, objective)
    if not points:
        return []
    longest = 1.05 * max(objective.seconds if _shown(objective) else 0.0, *(wait for wait, _, _ in points))
    highest = max(throughput for _, throughput, _ in points) or 1.0
    grid = [[" "] * WIDTH for _ in range(HEIGHT)]
    if _shown(objective):
        for row in grid:
            row[_place(objective.seconds, longest, WIDTH)] = "┊"
    for wait, throughput, load in reversed(points):
        row = grid[HEIGHT - 1 - _place(throughput, highest, HEIGHT)]
        start = min(_place(wait, longest, WIDTH), WIDTH - len(str(load)))
        row[start : start + len(str(load))] = str(load)
    top, label = f"{highest:.0f}", f"p{objective.percentile} of the {NAMES[objective.of]}"
    lines = ["tokens/s"]
    for number, row in enumerate(grid):
        lines.append(f"{top if number == 0 else '':>8} │{''.join(row).rstrip()}")
    lines.append(f"{'0':>8} └{'─' * WIDTH}")
    return [*lines, f"{'':>9}0{f'{longest:.2f} s, {label}':>{WIDTH}}"]


def _points(levels: Sequence[Level], objective: Objective) -> list[tuple[float, float, int]]:
    """Latency, throughput and load of those that have a latency."""
    waits = [(level.latency(objective.of, objective.percentile), level) for level in levels]
    return [(wait, level.throughput, level.load) for wait, level in waits if wait is not None]


def _shown(objective: Objective) -> bool:
    """Whether there is one: without, only its percentile counts."""
    return objective.seconds < float("inf")


def _place(value: float, most: float, cells: int) -> int:
    return min(cells - 1, int(value / most * cells))


def require_library() -> None:
    """Raise `CommandFailed` unless there is what draws the PNG."""
    if find_spec("matplotlib") is None:
        raise CommandFailed(
            "--png needs matplotlib, which is not installed",
            fix="make charts, or pip install 'antiphon[charts]'; or leave --png out",
            exit_code=ExitCode.USAGE,
        )


def write_png(
    path: Path, levels: Sequence[Level], objective: Objective, best: Level | None, title: str
) -> None:
    """Draw it into a file. Raises `OSError`."""
    # Imported here: it is an extra, and slow. A `Figure` of its own needs no display and no global state.
    from matplotlib.figure import Figure

    points = _points(levels, objective)
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot([wait for wait, _, _ in points], [rate for _, rate, _ in points], marker="o", color="#1f5fa8")
    for wait, rate, load in points:
        axes.annotate(f"{load}", (wait, rate), textcoords="offset points", xytext=(6, -12))
    if _shown(objective):
        label = f"objective: {objective.seconds:g} s"
        axes.axvline(objective.seconds, linestyle=":", color="#a83232", label=label)
    found = best.latency(objective.of, objective.percentile) if best else None
    if best and found is not None:
        axes.plot(
            [found], [best.throughput], "o", markersize=12, fillstyle="none", color="#2e7d32",
            label=f"recommended load: {best.load}",
        )  # fmt: skip
    axes.set(
        title=title,
        xlabel=f"{NAMES[objective.of]}, p{objective.percentile}, in seconds",
        ylabel="tokens a second of a replica",
    )
    axes.margins(0.08)
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(loc="lower right")
    figure.savefig(path, format="png", dpi=120)

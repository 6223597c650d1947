"""The tables of a run, the same for the terminal and for the pages."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from rich.console import Console

from benchmarks import grids, runs
from benchmarks.chat import values
from benchmarks.chat.bars import rate
from benchmarks.chat.values import ANTIPHON, REQUANTIZED, SHIPPED, Results, Row
from benchmarks.grids import Grid

TITLES = {
    "clients": "{} tokens in, at most {} out",
    "long": "Prompts of {} tokens, at most {} out",
    "shared": "One new system prompt of {} tokens, a short question of each client, at most {} out",
    "mixed": "Streams of {} tokens in and {} out, while two clients send long prompts",
}
LENGTHS = {
    "clients": ("prompt", "answer"),
    "long": ("long_prompt", "long_answer"),
    "shared": ("long_prompt", "long_answer"),
    "mixed": ("prompt", "answer"),
}


def load(name: str, found: Results) -> Grid | None:
    """Every side under one load: medians over the rounds."""
    rows = [_row(found, row) for row in found.rows if row.load == name]
    columns = ("side", "clients", "tokens/s", "Antiphon is", "seconds", "first token p50 / p99 s",
               "gap p50 / p99 ms", "tokens of a prompt")  # fmt: skip
    title = TITLES[name].format(*(found.plan[length] for length in LENGTHS[name]))
    return Grid(title, columns, rows) if rows else None


def _row(found: Results, row: Row) -> tuple[str, ...]:
    ours = found.row(row.load, row.clients, ANTIPHON)
    return (
        row.side,
        str(row.clients),
        f"{rate(row):.1f}",
        f"{rate(ours) / rate(row):.2f}x" if ours and row is not ours else "",
        f"{row.median(lambda one: one.seconds):.1f}",
        f"{row.median(lambda one: one.first_p50):.2f} / {row.median(lambda one: one.first_p99):.2f}",
        f"{1e3 * row.median(lambda one: one.gap_p50):.0f} / {1e3 * row.median(lambda one: one.gap_p99):.0f}",
        str(row.rounds[0].prompt_tokens),
    )


def memory(found: Results) -> Grid | None:
    rows = [(side, f"{most:.0f}") for side, most in found.memory_mib.items()]
    return Grid("Memory over all loads", ("side", "peak MiB"), rows) if rows else None


def quality(found: Results) -> Grid | None:
    """Greedy answers beside those of the file's weights without rounding."""
    if found.quality is None:
        return None
    rows = [
        (one.side, f"{one.same} of {one.questions}", f"{100 * one.shared:.0f} %")
        for one in found.quality.agreement
    ]
    columns = ("side", "same answers", "of an answer the same from its beginning")
    return Grid(f"Greedy answers, beside {values.REFERENCE}", columns, rows)


def bars(found: Results) -> Grid | None:
    return grids.bars(found.bars)


def headline(found: Results) -> Grid | None:
    """A handful of rows for people who have a minute."""
    rows = []
    for row in found.rows:
        if row.side != ANTIPHON or row.load not in ("clients", "shared"):
            continue
        sides = [found.row(row.load, row.clients, side) for side in (ANTIPHON, SHIPPED, REQUANTIZED)]
        if row.load == "clients":
            name = f"{row.clients} at once: tokens a second"
            rows.append((name, *(f"{rate(side):.0f}" if side else "" for side in sides)))
        else:
            name = f"{row.clients} at once with one long system prompt: seconds"
            rows.append((name, *(f"{s.median(lambda one: one.seconds):.0f}" if s else "" for s in sides)))
    columns = ("Chat, SmolLM2-135M-Instruct", ANTIPHON, "llama.cpp's server", "the same, file made faster")
    return Grid("Chat", columns, rows) if rows else None


GRIDS: dict[str, Callable[[Results], Grid | None]] = {
    **{name: partial(load, name) for name in TITLES},
    "memory": memory,
    "quality": quality,
    "bars": bars,
    "headline": headline,
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
    if grid is None:
        return ""
    if name == "headline":
        return f"{about(found)}.\n\n{grid.markdown()}"
    return f"{grid.title}:\n\n{grid.markdown()}"


def about(found: Results) -> str:
    """The machine, the engine and the day."""
    return (
        f"{found.place}; Antiphon's engine is "
        f"{found.engine}, llama.cpp's server that of xllamacpp {found.versions['xllamacpp']}; {found.date}"
    )

"""The tables of a run, the same for the terminal and for the pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from rich.console import Console

from benchmarks import grids, runs
from benchmarks.chat.bars import rate
from benchmarks.chat.values import Row
from benchmarks.grids import Grid
from benchmarks.vllm import values
from benchmarks.vllm.values import ANTIPHON, BARE, Results


def clients(found: Results) -> Grid | None:
    """Both sides, medians over the rounds."""
    columns = ("side", "clients", "tokens/s", "Antiphon is", "first token p50 / p99 s", "gap p50 / p99 ms")
    title = f"{found.plan['prompt']} tokens in, at most {found.plan['answer']} out"
    return Grid(title, columns, [_row(found, row) for row in found.rows]) if found.rows else None


def _row(found: Results, row: Row) -> tuple[str, ...]:
    ours = found.row(row.clients, ANTIPHON)
    return (
        row.side,
        str(row.clients),
        f"{rate(row):.1f}",
        f"{rate(ours) / rate(row):.2f}x" if ours and row is not ours else "",
        f"{row.median(lambda one: one.first_p50):.2f} / {row.median(lambda one: one.first_p99):.2f}",
        f"{1e3 * row.median(lambda one: one.gap_p50):.0f} / {1e3 * row.median(lambda one: one.gap_p99):.0f}",
    )


def starts(found: Results) -> Grid | None:
    rows = [
        (f"{one.side}, {'again' if one.compiled else 'the first time'}", f"{one.seconds:.0f}")
        for one in found.starts
    ]
    return Grid("Seconds until it is ready", ("start", "seconds"), rows) if rows else None


def checks(found: Results) -> Grid | None:
    rows = list(_checks(found))
    return Grid("Checks", ("what", "found"), rows) if rows else None


def _checks(found: Results) -> Iterator[tuple[str, str]]:
    if same := found.agreement:
        yield f"greedy answers the same as of {BARE}", f"{same.same} of {same.questions}"
    if kept := found.kept:
        name = f"of {kept.prompt} tokens of a prompt, found computed: its first time, with another question"
        yield name, f"{kept.first}, {kept.second}"
    if left := found.left:
        name = f"first token of an idle engine, and once {left.clients} clients have left its places"
        yield name, f"{left.idle:.2f} s, {left.after:.2f} s"
    if forms := found.forms:
        yield "values that their schema allows", f"{forms.schemas} of {forms.asked}"
        yield "calls of a function with arguments that it allows", f"{forms.calls} of {forms.asked}"
    if contract := found.contract:
        told = f"{contract.passed} passed, {contract.failed} failed, {contract.skipped} skipped"
        yield "tests that every chat engine has to pass", told


GRIDS: dict[str, Callable[[Results], Grid | None]] = {"clients": clients, "starts": starts, "checks": checks}


def show(console: Console, found: Results) -> None:
    grids.show(console, about(found), (make(found) for make in GRIDS.values()))


def newest(folder: Path) -> Callable[[str], str] | None:
    """Gives the text of a table with that name, for the newest run; None where there is none."""
    found = runs.newest(folder, values.KIND, Results)
    return partial(block, found) if found else None


def block(found: Results, name: str) -> str:
    """Raises `KeyError` for a table that does not exist."""
    if name == "about":
        return f"{about(found)}."
    grid = GRIDS[name](found)
    return f"{grid.title}:\n\n{grid.markdown()}" if grid else ""


def about(found: Results) -> str:
    """The machine, the engine and the day."""
    told = ", ".join(f"{name} = {value}" for name, value in found.options.items())
    return f"{found.place}; vLLM {found.vllm} with {told}; {found.date}"

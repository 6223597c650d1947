"""The ten figures that say how reliable Antiphon is, with their bars, as the results of benchmarks have them.

A figure without a result says so: none is made up. `benchmarks.dashboard` has them measured.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from benchmarks import chaos, fairness, mixed, overload, reliability, runs, truncations
from benchmarks.figures import median
from benchmarks.grids import Grid
from benchmarks.runs import RESULTS

MILLION = 1_000_000
STREAMS = MILLION
GENERATED = 100_000
ROUNDS = 50


class Measured(msgspec.Struct, frozen=True):
    """What was measured, in words; whether the bar is reached, and by enough cases; when, ISO 8601."""

    text: str
    met: bool
    enough: bool
    written: str


class Figure(msgspec.Struct, frozen=True):
    number: int
    name: str
    bar: str
    command: str
    """What measures it, in a shell."""
    read: Callable[[Path], Measured | None]
    """From a folder of results; None if it was not measured."""
    adds_up: bool = False
    """Whether later runs add to earlier ones."""


def _document(folder: Path, name: str) -> dict[str, Any] | None:
    path = folder / name
    if not path.exists():
        return None
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def misbilled(folder: Path) -> Measured | None:
    """A world whose books disagree ends the simulation, and is not written: what is written agrees."""
    found = _document(folder, "soak.json")
    if not found or not found.get("worlds"):
        return None
    count = found["sum"]["requests"]
    return Measured(f"0 of {count:,}", True, count >= MILLION, found.get("written", ""))


def truncated(folder: Path) -> Measured | None:
    found = _document(folder, "truncations.json")
    if not found or not found.get("parts"):
        return None
    count, wrong = sum(found["sum"].values()), truncations.unmarked(found["sum"])
    return Measured(f"{wrong:,} of {count:,}", wrong == 0, count >= STREAMS, found.get("written", ""))


def available(folder: Path) -> Measured | None:
    found = runs.newest(folder, chaos.KIND, chaos.Results)
    if found is None:
        return None
    right, first = chaos.availability(found.turns), chaos.availability(found.turns, tries=False)
    text = f"{right:.2%} ({first:.2%} at the first try), a process killed every {found.seconds:.0f} s"
    return Measured(text, right >= chaos.AVAILABLE, True, found.written)


def seconds(folder: Path, beginning: str, bar: float) -> Measured | None:
    """The slowest 99th percentile of the wounds that begin so."""
    found = _document(folder, "reliability.json")
    figures = {
        name: values
        for name, values in (found or {}).get("figures", {}).items()
        if name.startswith(beginning)
    }
    if not found or not figures:
        return None
    worst = max(reliability.percentile(values, 99) for values in figures.values())
    count = min(map(len, figures.values()))
    return Measured(f"{worst:.2f} s", worst <= bar, count >= ROUNDS, found.get("written", ""))


def overloaded(folder: Path) -> Measured | None:
    found = runs.newest(folder, overload.KIND, overload.Results)
    if found is None:
        return None
    ratio = median([turn.ratio for turn in found.turns])
    refusal = 1000 * median([turn.refusal_p99 for turn in found.turns])
    met = all(bar.met for bar in found.bars)
    return Measured(f"{ratio:.0%} / {refusal:.0f} ms", met, True, found.written)


def beside(folder: Path) -> Measured | None:
    found = runs.newest(folder, fairness.KIND, fairness.Results)
    if found is None:
        return None
    ratio, even = median([t.ratio for t in found.turns]), median([t.even for t in found.turns])
    met = all(bar.met for bar in found.bars)
    return Measured(f"{ratio:.2f}x (Jain's index {even:.3f})", met, True, found.written)


def handled(folder: Path) -> Measured | None:
    """Fixed cases that passed, of all; and generated ones: a part with one that fails is not written."""
    checks, generated = _document(folder, "checks.json"), _document(folder, "fuzz.json")
    fixed = checks["groups"].get("bad input") if checks else None
    count = sum(generated["statuses"].values()) if generated else 0
    if not fixed and not count:
        return None
    texts = []
    if fixed:
        texts.append(f"{fixed['passed']:,}/{fixed['passed'] + fixed['failed']:,} fixed")
    else:
        texts.append("fixed ones not measured")
    texts.append(f"{count:,} generated")
    whole = bool(fixed) and not fixed["failed"] and fixed["passed"] >= 1000 and count >= GENERATED
    written = [one["written"] for one in (checks, generated) if one and one.get("written")]
    return Measured(", ".join(texts), whole, bool(fixed) and count >= GENERATED, min(written, default=""))


def authorized(folder: Path) -> Measured | None:
    checks = _document(folder, "checks.json")
    group = checks["groups"].get("authorization") if checks else None
    if checks is None or not group or not (group["cells"] or group["failed"]):
        return None
    kept = checks["groups"].get("canaries") or {"passed": 0, "failed": 0}
    looked = bool(kept["passed"] or kept["failed"])
    failed = ["tests/test_authorization.py"] * bool(group["failed"])
    failed += ["tests/e2e/test_canary.py"] * bool(kept["failed"])
    seen = "0 canaries" if looked else "canaries not looked for"
    text = f"failed: see {', '.join(failed)}" if failed else f"100 % of {group['cells']:,} cells / {seen}"
    return Measured(text, not failed, looked, checks["written"])


def grown(folder: Path) -> Measured | None:
    found = runs.newest(folder, mixed.KIND, mixed.Results)
    if found is None:
        return None
    hourly = mixed.hourly(found.soak)
    slope = mixed.grown(found.soak, 1)
    text = f"at most {hourly:.2f} MiB/h, {slope.most:.0f} bytes a request (95 %)"
    return Measured(text, hourly <= 1, found.requests >= mixed.REQUESTS, found.written)


FIGURES = (
    Figure(
        1, "requests misbilled per million, faults injected", "under 1", "make soak", misbilled, adds_up=True
    ),
    Figure(
        2,
        "unmarked truncations per million streams",
        "0",
        "python -m benchmarks.truncations",
        truncated,
        adds_up=True,
    ),
    Figure(3, "right answers, chaos on", "99.9 %", "python -m benchmarks.chaos", available),
    Figure(
        4,
        "cancel to slot free, p99",
        "2 s",
        "make wounds",
        partial(seconds, beginning="cancel", bar=2.0),
        adds_up=True,
    ),
    Figure(
        5,
        "worker crash to serving again, p99",
        "10 s",
        "make wounds",
        partial(seconds, beginning="kill -9 to the next answer", bar=10.0),
        adds_up=True,
    ),
    Figure(
        6, "overload: goodput / refusal, p99", "90 % / 50 ms", "python -m benchmarks.overload", overloaded
    ),
    Figure(
        7, "a victim's p99 beside an abusive organization", "1.5x", "python -m benchmarks.fairness", beside
    ),
    Figure(
        8,
        "bad input handled",
        f"all fixed + {GENERATED:,} generated",
        "python -m benchmarks.checks, make fuzz",
        handled,
        adds_up=True,
    ),
    Figure(9, "authorization cells / canaries seen", "100 % / 0", "python -m benchmarks.checks", authorized),
    Figure(10, "growth of resident memory", "1 MiB/h", "python -m benchmarks.mixed", grown),
)


def table(folder: Path = RESULTS) -> Grid:
    """All figures, measured or not."""
    rows = []
    for figure in FIGURES:
        found = figure.read(folder)
        if found is None:
            shown = ("not measured", "", "")
        else:
            verdict = "missed" if not found.met else "met" if found.enough else "too few yet"
            if figure.number == 8 and found.met is False and not found.enough:
                verdict = "too few yet"
            shown = (found.text, verdict, found.written[:10])
        rows.append((str(figure.number), figure.name, figure.bar, *shown, f"`{figure.command}`"))
    return Grid("Ten figures", ("#", "figure", "bar", "measured", "", "when", "command"), rows)


def newest(folder: Path) -> Callable[[str], str] | None:
    """Gives the text of the table named `figures`: there always is one."""
    return partial(block, folder)


def block(folder: Path, name: str) -> str:
    """Raises `KeyError` for a table that does not exist."""
    return {"figures": table}[name](folder).markdown()

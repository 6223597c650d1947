"""The same figures as a table, in characters and as a picture."""

from __future__ import annotations

import io
import math
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
from rich.console import Console

from antiphon.cli import load_chart
from antiphon.cli.output import CommandFailed
from antiphon.ledger.levels import Level, Objective, Percentiles

OBJECTIVE = Objective(seconds=2.0, percentile=99, of="answer")
NO_OBJECTIVE = Objective(seconds=math.inf, percentile=50, of="first_token")


def level(load: int, throughput: float, wait: float | None) -> Level:
    first = None if wait is None else wait / 10
    return Level(
        load=load,
        answered=100,
        failed=0 if wait else 1,
        seconds=10.0,
        throughput=throughput,
        written=throughput / 3,
        prompt_tokens=20.0,
        answer_tokens=10.0,
        first_token=Percentiles(*[first] * 4),
        answer=Percentiles(*[wait] * 4),
    )


LEVELS = [level(1, 50.0, 0.5), level(4, 100.0, 1.5), level(16, 120.0, 4.0), level(32, 0.0, None)]


def columns(lines: list[str], label: str) -> list[int]:
    return [line.index(label) for line in lines if label in line]


def test_a_table_has_every_load_and_marks_the_best() -> None:
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(load_chart.table(LEVELS, LEVELS[1]))
    heading, *rows = console.export_text().splitlines()
    assert "Tokens/s" in heading and "Answer p50" in heading
    assert [row.split()[0] for row in rows] == ["1", "*", "16", "32"]
    assert "* 4" in rows[1] and "100.0" in rows[1] and "1.500 s" in rows[1]
    assert rows[3].split()[-1] == "-"


def test_loads_stand_where_their_figures_are() -> None:
    lines = load_chart.drawn(LEVELS, OBJECTIVE)
    body = lines[1:-2]
    assert len(body) == load_chart.HEIGHT
    where = {
        label: next(n for n, line in enumerate(body) if label in line[10:]) for label in ("1", "4", "16")
    }
    assert where["16"] == 0 and "16" in body[0] and body[0].strip().startswith("120")
    row_of_four = next(
        n for n, line in enumerate(body) if line[10:].rstrip().endswith("4") or " 4" in line[10:]
    )
    assert 0 < row_of_four < load_chart.HEIGHT
    [objective] = {line.index("┊") for line in body if "┊" in line}
    [of_16] = columns(body, "16")
    [of_4] = columns(body[row_of_four : row_of_four + 1], "4")
    assert of_4 < objective < of_16
    assert "4.20 s, p99 of the whole answer" in lines[-1]


def test_without_an_objective_there_is_no_line() -> None:
    lines = load_chart.drawn(LEVELS, NO_OBJECTIVE)
    assert not any("┊" in line for line in lines) and "p50 of the first token" in lines[-1]


def test_of_nothing_nothing_is_drawn() -> None:
    assert load_chart.drawn([LEVELS[3]], OBJECTIVE) == [] and load_chart.drawn([], NO_OBJECTIVE) == []


@pytest.mark.parametrize("objective", [OBJECTIVE, NO_OBJECTIVE])
def test_a_picture_is_a_png(tmp_path: Path, objective: Objective) -> None:
    for number, best in enumerate((None, LEVELS[1], LEVELS[3])):
        path = tmp_path / f"{number}.png"
        load_chart.write_png(path, LEVELS, objective, best, "a title")
        content = path.read_bytes()
        assert content.startswith(b"\x89PNG\r\n\x1a\n") and len(content) > 5000


def test_a_picture_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        load_chart.write_png(tmp_path / "nowhere" / "x.png", LEVELS, OBJECTIVE, None, "")


def test_without_the_library_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    load_chart.require_library()
    found: ModuleSpec | None = None
    monkeypatch.setattr(load_chart, "find_spec", lambda name: found)
    with pytest.raises(CommandFailed) as refusal:
        load_chart.require_library()
    assert "matplotlib" in refusal.value.message and "antiphon[charts]" in refusal.value.fix

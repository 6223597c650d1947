"""The tables and bars of a run of chat."""

from __future__ import annotations

import io
from pathlib import Path

import msgspec
import pytest
from benchmarks.chat import quality, tables
from benchmarks.chat.bars import bars
from benchmarks.chat.plan import FULL
from benchmarks.chat.values import (
    ANTIPHON,
    KIND,
    REQUANTIZED,
    SHIPPED,
    SIDES,
    Agreement,
    Quality,
    Results,
    Round,
    Row,
)
from benchmarks.grids import missed
from benchmarks.runs import newest
from rich.console import Console

RATES = {ANTIPHON: (60.0, 150.0, 290.0, 310.0), SHIPPED: (60.0, 75.0, 95.0, 100.0)}
RATES[REQUANTIZED] = (70.0, 100.0, 140.0, 150.0)


def a_round(rate: float = 100.0, first: float = 1.0, gap_p99: float = 0.2, seconds: float = 10.0) -> Round:
    return Round(
        seconds=seconds, prompt_tokens=200, completion_tokens=round(rate * seconds), first_p50=first / 2,
        first_p99=first, gap_p50=0.05, gap_p99=gap_p99, peak_mib=500.0 + rate,
    )  # fmt: skip


def a_run(written: str = "2026-11-27T10:00:00+00:00") -> Results:
    """Every bar is met, some by nothing."""
    rows = [
        Row(
            load="clients",
            clients=count,
            side=side,
            rounds=[
                a_round(rate, 10.0 if side == ANTIPHON else 20.0) for rate in (1.0, RATES[side][n], 999.0)
            ],
        )
        for n, count in enumerate(FULL.clients)
        for side in SIDES
    ]
    seconds = {ANTIPHON: 12.0, SHIPPED: 130.0, REQUANTIZED: 120.0}
    rows += [Row(load="shared", clients=32, side=s, rounds=[a_round(seconds=seconds[s])]) for s in SIDES]
    rows += [
        Row(load=load, clients=8, side=s, rounds=[a_round()]) for load in ("long", "mixed") for s in SIDES
    ]
    found = Results(
        written=written,
        command="python -m benchmarks.chat",
        machine={"processor": "A (R) Processor", "cores": 2, "system": "Linux x86_64"},
        versions={"xllamacpp": "1"},
        engine="openvino-genai 1",
        threads=2,
        plan=msgspec.to_builtins(FULL),
        rows=rows,
        quality=Quality(
            agreement=[Agreement(side=side, questions=40, same=20, shared=0.75) for side in SIDES],
            perplexity=20.2,
            reference_perplexity=20.0,
        ),
    )
    return msgspec.structs.replace(found, bars=bars(found))


def test_a_good_run_misses_nothing() -> None:
    found = a_run()
    assert missed(found.bars) == []
    assert len(found.bars) == 5 + 1 + 1 + 1 + 1  # rates, first tokens, shared, gaps, perplexity


@pytest.mark.parametrize(
    ("load", "clients", "worse", "name"),
    [
        ("clients", 16, a_round(280.0, 10), "16 clients: tokens a second"),
        ("clients", 32, a_round(310.0, 10.1), "first token"),
        ("shared", 32, a_round(seconds=12.1), "one system prompt"),
        ("mixed", 8, a_round(gap_p99=0.21), "gaps"),
    ],
)
def test_a_bar_is_missed(load: str, clients: int, worse: Round, name: str) -> None:
    found = a_run()
    rows = [
        msgspec.structs.replace(row, rounds=[worse])
        if (row.load, row.clients, row.side) == (load, clients, ANTIPHON)
        else row
        for row in found.rows
    ]
    [bar] = missed(bars(msgspec.structs.replace(found, rows=rows)))
    assert name in bar


def test_worse_answers_miss_a_bar() -> None:
    found = a_run()
    assert found.quality
    worse = msgspec.structs.replace(found.quality, perplexity=20.5)
    [bar] = missed(bars(msgspec.structs.replace(found, quality=worse)))
    assert "perplexity" in bar


def test_what_was_not_measured_has_neither_bar_nor_table() -> None:
    found = msgspec.structs.replace(a_run(), rows=[], quality=None)
    assert bars(found) == [] and tables.GRIDS["memory"](found) is None
    assert tables.block(found, "quality") == "" and tables.block(found, "headline") == ""


def test_tables() -> None:
    found = a_run()
    console = Console(width=200, record=True, file=io.StringIO())
    tables.show(console, found)
    assert "openvino-genai 1" in console.export_text()
    for name in tables.GRIDS:
        grid = tables.GRIDS[name](found)
        assert grid and {len(row) for row in grid.rows} == {len(grid.columns)}
    assert "| llama.cpp | 16 | 95.0 | 3.05x |" in tables.block(found, "clients")
    assert "| 32 at once with one long system prompt: seconds | 12 | 130 | 120 |" in tables.block(
        found, "headline"
    )
    with pytest.raises(KeyError):
        tables.block(found, "nothing")


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    found = a_run()
    found.save(tmp_path)
    again = newest(tmp_path, KIND, Results)
    assert again and msgspec.json.encode(again) == msgspec.json.encode(found)
    assert newest(tmp_path / "none", KIND, Results) is None


def test_agreement_is_counted_from_the_beginning() -> None:
    found = quality.agreement("a side", ["abcd", "same", ""], ["abxy", "same", ""])
    assert (found.same, found.questions) == (2, 3) and found.shared == pytest.approx(0.5)
    asked = quality.questions(40)
    assert asked == quality.questions(40) and len(set(asked)) == 40 and "{" not in "".join(asked)

"""The table and the bar of an instance beside others' load."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.isolation import Results, Turn, bars, newest


def a_run(engines: str, *ratios: float, written: str = "2026-11-27T12:00:00+00:00") -> Results:
    turns = [Turn(0.5, 0.5 * ratio, 100) for ratio in ratios]
    return Results(
        written=written,
        command="python -m benchmarks.isolation",
        machine={"processor": "P", "cores": 2, "system": "S"},
        versions={},
        engines=engines,
        clients=2,
        crowd=20,
        seconds=20.0,
        turns=turns,
        bars=bars(engines, turns),
    )


def test_the_bar_is_for_the_median_of_paced_engines() -> None:
    [met] = a_run("paced", 1.0, 1.25, 9.0).bars
    assert met.met and met.measured == "1.25 x" and met.wanted == "at most 1.25 x"
    [missed] = a_run("paced", 1.0, 1.27, 9.0).bars
    assert not missed.met
    assert a_run("real", 9.0).bars == []


def test_the_page_shows_the_newest_of_each_kind(tmp_path: Path) -> None:
    assert newest(tmp_path) is None
    a_run("paced", 9.0, written="2026-11-26T12:00:00+00:00").write(tmp_path, "isolation", "-paced")
    a_run("real", 2.0).write(tmp_path, "isolation", "-real")
    a_run("paced", 1.1).write(tmp_path, "isolation", "-paced")
    block = newest(tmp_path)
    assert block is not None
    shown = block("p99")
    assert "| paced | 500 | 550 | 1.10 | at most 1.25 x: met | 100 |" in shown
    assert "| real | 500 | 1000 | 2.00 | none | 100 |" in shown and "P, 2 cores, S; 2026-11-27" in shown
    with pytest.raises(KeyError):
        block("other")

"""The table and the bars of a run of engines on Ray beside local ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.chat.values import Round
from benchmarks.grids import missed
from benchmarks.ray import KIND, Load, Results, Turn, bars, newest, promptness, rate, table


def a_round(tokens: int, first: float) -> Round:
    return Round(
        seconds=10.0, prompt_tokens=200, completion_tokens=tokens, first_p50=first, first_p99=first,
        gap_p50=0.05, gap_p99=0.2,
    )  # fmt: skip


def a_load(*turns: tuple[int, int, float, float]) -> Load:
    """Of turns with the tokens of the local side and of Ray's, and the seconds of their first tokens."""
    return Load(
        8,
        [
            Turn(a_round(local, local_first), a_round(ray, ray_first), busy=float(number))
            for number, (local, ray, local_first, ray_first) in enumerate(turns)
        ],
    )


def test_the_ratio_is_that_of_neighbours() -> None:
    # The machine became slower: of medians of each side alone nothing could be told.
    load = a_load((1000, 980, 0.1, 0.1), (500, 495, 0.2, 0.25), (100, 150, 1.0, 0.5))
    assert load.ratio(rate) == pytest.approx(0.99)
    assert load.ratio(promptness) == pytest.approx(1.0)


def test_a_bar_is_missed_below_the_ratio_alone() -> None:
    assert missed(bars([a_load((1000, 975, 0.98, 1.0))])) == []
    slow = bars([a_load((1000, 969, 0.96, 1.0))])
    assert missed(slow) == [bar.name for bar in slow] and len(slow) == 2


def test_the_table_tells_both_sides_and_how_busy_the_machine_was() -> None:
    [row] = table([a_load((1000, 900, 0.1, 0.2), (1200, 1080, 0.2, 0.4))]).rows
    assert row == ("8", "110.0", "99.0", "0.900", "150", "300", "0.500", "0.0 to 1.0")


def test_the_page_shows_the_newest_run(tmp_path: Path) -> None:
    assert newest(tmp_path) is None
    for day, tokens in (("2026-11-26", 100), ("2026-11-27", 990)):
        run = Results(
            written=f"{day}T10:00:00+00:00",
            command="python -m benchmarks.ray",
            machine={"processor": "A Processor", "cores": 2, "system": "Linux x86_64"},
            versions={"ray": "2.60.0"},
            threads=2,
            plan={"rounds": 8},
            loads=[a_load((1000, tokens, 0.1, 0.1))],
        )
        run.write(tmp_path, KIND)
    block = newest(tmp_path)
    assert block is not None
    assert block("about") == "A Processor, 2 cores, Linux x86_64; Ray 2.60.0; medians of 8 turns; 2026-11-27."
    assert "| 8 | 100.0 | 99.0 | 0.990 |" in block("loads")
    with pytest.raises(KeyError):
        block("nothing")

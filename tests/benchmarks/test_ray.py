"""The table and the bars of a run of engines on Ray beside local ones."""

from __future__ import annotations

import pytest
from benchmarks.chat.values import Round
from benchmarks.grids import missed
from benchmarks.ray import Load, Turn, bars, promptness, rate, table


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

"""The sums of what is held open."""

from __future__ import annotations

from benchmarks.pressure import Held, Turn, bars


def test_each_part_has_its_bar_and_one_that_was_not_measured_none() -> None:
    held = Held(100.0, 356.0, 500.0, 900.0, {"200": 64})
    even, slow = Turn(0.5, 0.59, 0, 100), Turn(0.5, 0.7, 0, 100)
    assert [bar.met for bar in bars(held, [even, even, slow])] == [True, True]
    assert [bar.met for bar in bars(None, [slow, slow, even])] == [False]
    [grown] = bars(Held(100.0, 357.0, 500.0, 500.0, {}), [])
    assert not grown.met and "257 MiB" in grown.measured
    assert bars(None, []) == []

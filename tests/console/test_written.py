"""Figures as people read them."""

from __future__ import annotations

from antiphon.console.written import counted, day, moment, number, places


def test_figures_are_written_for_people() -> None:
    assert [counted(n, "replica") for n in (0, 1, 1200)] == ["0 replicas", "1 replica", "1,200 replicas"]
    assert counted(2, "entry", "entries") == "2 entries"
    assert number(1234567) == "1,234,567"
    assert (moment(1_800_000_000), day(None)) == ("2027-01-15 08:00 UTC", "never")


def test_points_of_a_column_stand_below_each_other() -> None:
    assert places([1_500_000, -2_000_000_000, 10**9 // 4]) == 4
    assert places([]) == places([0, 10**9]) == 2

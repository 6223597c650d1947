"""Figures as people read them."""

from __future__ import annotations

from antiphon.console.written import day, moment, money, number, places, rest


def test_figures_are_written_for_people() -> None:
    assert (money(1_500_000), money(-2_000_000_000), money(0)) == ("$0.0015", "-$2", "$0")
    assert number(1234567) == "1,234,567"
    assert (moment(1_800_000_000), day(None)) == ("2027-01-15 08:00 UTC", "never")


def test_points_of_a_column_stand_below_each_other() -> None:
    amounts = [1_500_000, -2_000_000_000, 10**9 // 4]
    assert places(amounts) == 4 and places([]) == places([10**9]) == 0
    assert [money(one) + rest(one, 4) for one in amounts] == ["$0.0015", "-$2.0000", "$0.2500"]
    assert rest(10**9, 0) == ""

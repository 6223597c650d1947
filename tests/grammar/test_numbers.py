"""Bounds of numbers: all that is written lies between them, and nothing that may be written is missing."""

from __future__ import annotations

from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.grammar.numbers import INTEGER, NUMBER, decimals
from grammar_samples import expression, sample

bounds = st.integers(-1200, 1200)


@given(bounds, bounds)
def test_whole_numbers_are_just_those_between_the_bounds(one: int, other: int) -> None:
    low, high = sorted((one, other))
    node = decimals(Decimal(low), Decimal(high), 0)
    assert node is not None
    found = expression(node)
    tried = {low - 1, low, low + 1, high - 1, high, high + 1, 0, -1, 1, 99, 100, 1000, -1000}
    assert {n for n in tried if found.fullmatch(str(n))} == {n for n in tried if low <= n <= high}
    assert not found.fullmatch(f"0{high}") and not found.fullmatch(f"{high}.0")


@given(
    st.decimals(-50, 50, places=3), st.decimals(-50, 50, places=3), st.integers(0, 3), st.integers(0, 2**32)
)
def test_decimals_lie_between_the_bounds(one: Decimal, other: Decimal, places: int, seed: int) -> None:
    low, high = sorted((one, other))
    node = decimals(low, high, places)
    fits = (low * 10**places).to_integral_value("ROUND_CEILING") <= high * 10**places
    assert (node is not None) == fits
    if node is not None:
        chance = Random(seed)
        for _ in range(20):
            assert low <= Decimal(sample(node, {}, chance)) <= high


@pytest.mark.parametrize(("low", "high", "places", "written", "others"), [
    ("0", "1", 2, "0 1 0.5 0.99 0.01", "1.01 -0.1 0.001 2"),
    ("0.2", "0.75", 2, "0.20 0.75 0.39", "0.19 0.76 0 1"),
    ("-0.5", "0.5", 1, "-0.5 -0.1 0 0.5", "-0.6 0.6 1 -1"),
    ("-17.25", "-3", 2, "-17.25 -17 -3 -3.01 -16.99", "-17.26 -2.99 -18 3"),
    ("7", "7", 2, "7", "7.5 6 8 07"),
])  # fmt: skip
def test_numbers_that_may_be_written(low: str, high: str, places: int, written: str, others: str) -> None:
    node = decimals(Decimal(low), Decimal(high), places)
    assert node is not None
    found = expression(node)
    assert all(found.fullmatch(text) for text in written.split())
    assert not any(found.fullmatch(text) for text in [*others.split(), "-", ".", ""])


def test_no_number_between_two_is_none() -> None:
    assert decimals(Decimal("0.25"), Decimal("0.75"), 0) is None
    assert decimals(Decimal(2), Decimal(1), 3) is None


def test_numbers_without_bounds_are_jsons() -> None:
    for text in ("0", "-7", "12", "9007199254740993"):
        assert expression(INTEGER).fullmatch(text) and expression(NUMBER).fullmatch(text)
    for text in ("0.5", "-1.25e-7", "6E23"):
        assert expression(NUMBER).fullmatch(text)
    for text in ("01", "+1", ".5", "1.", "1e", "--1", "NaN", "1" * 30):
        assert not expression(INTEGER).fullmatch(text) and not expression(NUMBER).fullmatch(text)

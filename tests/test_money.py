"""Amounts as people read them."""

from __future__ import annotations

import pytest

from antiphon.money import decimals, money, price

DOLLAR = 10**9
CENT = DOLLAR // 100


@pytest.mark.parametrize(
    ("nanos", "written"),
    [
        (0, "$0.00"),
        (DOLLAR * 3 // 2, "$1.50"),
        (-2 * DOLLAR, "-$2.00"),
        (1234 * DOLLAR + 567_891_234, "$1,234.57"),
        (CENT + 2_000, "$0.01"),
        (CENT - 1, "$0.01"),
        (CENT + 4_700_000, "$0.015"),
        (2_000_000, "$0.002"),
        (1_560_001, "$0.0016"),
        (-92_400, "-$0.000092"),
        (5, "$0.000000005"),
    ],
)
def test_amounts_have_two_decimals_or_as_many_as_their_first_two_digits_take(
    nanos: int, written: str
) -> None:
    assert money(nanos) == written


def test_amounts_of_a_column_have_as_many_decimals_as_the_smallest_needs() -> None:
    amounts = [1_560_001, -2 * DOLLAR, 0]
    places = max(map(decimals, amounts))
    assert [money(one, places) for one in amounts] == ["$0.0016", "-$2.0000", "$0.0000"]


def test_prices_are_exact() -> None:
    assert [price(n) for n in (2_000_000, DOLLAR * 3 // 2, 12_345_678, 0)] == [
        "$0.002", "$1.50", "$0.012345678", "$0.00",
    ]  # fmt: skip

"""Prices: whole nano-dollars, rounded for the customer; bounds rounded the other way."""

from __future__ import annotations

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from antiphon.ledger.prices import Cost, bound, capped, cost, effective, whole_seconds
from antiphon.values import Price, Usage

PRICE = Price(
    since=date(2023, 3, 1), input=2_000_000, cached_input=1_000_000, output=4_000_000, second=100_000
)

counts = st.integers(0, 10**7)
amounts = st.integers(0, 10**12)


def test_a_price_counts_from_its_day_on() -> None:
    older, newer = Price(since=date(2023, 3, 1), input=1), Price(since=date(2024, 1, 1), input=2)
    assert effective((newer, older), date(2023, 3, 1)) is older
    assert effective((older, newer), date(2023, 12, 31)) is older
    assert effective((older, newer), date(2024, 1, 1)) is newer


def test_before_the_first_price_everything_is_free() -> None:
    free = effective((PRICE,), date(2023, 2, 28))
    assert cost(free, Usage(prompt_tokens=10**6, seconds=3600.0)).total == 0


def test_each_part_is_priced() -> None:
    usage = Usage(prompt_tokens=1_500, cached_tokens=500, completion_tokens=250, seconds=2.0)
    assert cost(PRICE, usage) == Cost(2_500_000, 1_000_000, 200_000)
    assert cost(PRICE, usage).total == 3_700_000


def test_fractions_are_ours() -> None:
    price = Price(since=date(2023, 3, 1), input=999, output=1_001)
    assert cost(price, Usage(prompt_tokens=1, completion_tokens=1)) == Cost(0, 1, 0)
    assert bound(price, Usage(prompt_tokens=1, completion_tokens=1)) == 1 + 2


def test_a_begun_second_counts() -> None:
    assert [whole_seconds(Usage(seconds=s)) for s in (0.0, 0.1, 1.0, 1.001)] == [0, 1, 1, 2]


@given(counts, counts, counts, st.floats(0, 3600), amounts, amounts, amounts, amounts)
def test_a_bound_is_never_passed(
    prompt: int, cached: int, completion: int, seconds: float, a: int, b: int, c: int, d: int
) -> None:
    price = Price(since=date(2023, 3, 1), input=a, cached_input=b, output=c, second=d)
    most = Usage(prompt_tokens=prompt, completion_tokens=completion, seconds=seconds)
    used = Usage(
        prompt_tokens=prompt,
        cached_tokens=min(cached, prompt),
        completion_tokens=completion,
        seconds=seconds,
    )
    assert 0 <= cost(price, used).total <= bound(price, most)


@given(amounts, amounts, amounts, amounts)
def test_a_cap_takes_from_the_end(a: int, b: int, c: int, most: int) -> None:
    whole = Cost(a, b, c)
    less = capped(whole, most)
    assert less.total == min(whole.total, most)
    assert less.input <= a and less.output <= b and less.audio <= c
    assert less.output == 0 or less.input == a
    assert less.audio == 0 or less.output == b

"""Bills by the second: compared with sums over every single second, in fractions."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.ledger.duration import Outage, Rate, Span, charge, credit, life, outages

DOLLAR = 10**9
LONG = 400
"""Seconds that random lives lie in."""

prices = st.sampled_from([1, 7, 3599, 3600, 3601]) | st.integers(0, 50 * DOLLAR)


@st.composite
def lives(draw: st.DrawFn) -> list[Rate]:
    """The rates of one instance, in any order: resized, priced anew, paused, ended or not."""
    moments = sorted(draw(st.sets(st.integers(0, LONG), min_size=1, max_size=6)))
    last = draw(st.none() | st.just(LONG))
    found = [
        Rate(begin, end, price=draw(prices), replicas=draw(st.integers(0, 3)))
        for begin, end in pairwise([*moments, last])
        if draw(st.integers(0, 4))
    ]
    return draw(st.permutations(found))


@st.composite
def spans(draw: st.DrawFn, most: int = 5) -> list[Span]:
    """In any order, overlapping or not, some without a moment."""
    ends = st.none() | st.integers(0, LONG)
    return draw(st.lists(st.builds(Span, st.integers(0, LONG), ends), max_size=most))


def inside(span: Span | Outage, second: int) -> bool:
    return span.begin <= second and (span.end is None or second < span.end)


def exact(rates: list[Rate], begin: int, end: int) -> Fraction:
    """What the seconds cost, one by one."""
    costs = (
        Fraction(rate.price * rate.replicas, 3600)
        for second in range(begin, end)
        for rate in rates
        if inside(rate, second)
    )
    return sum(costs, Fraction(0))


def every_outage(rates: list[Rate], ready: list[list[Span]], until: int) -> list[Outage]:
    """Those of all replicas of an instance; `ready` of each."""
    return [gap for replica, times in enumerate(ready) for gap in outages(times, life(rates, replica), until)]


def test_an_hour_costs_its_price() -> None:
    assert charge([Rate(1000, None, price=37_500_000_000, replicas=1)], 1000, 4600) == 37_500_000_000
    assert charge([Rate(1000, 4600, price=37_500_000_000, replicas=2)], 0, 9999) == 75_000_000_000


def test_only_seconds_that_were_bought_are_charged() -> None:
    rates = [Rate(1000, 2000, price=3600, replicas=1)]
    assert charge(rates, 0, 1000) == 0 and charge(rates, 2000, 9999) == 0
    assert charge(rates, 500, 1001) == 1 and charge(rates, 1500, 1600) == 100


def test_a_resize_and_a_new_price_count_from_their_second_on() -> None:
    rates = [
        Rate(0, 100, price=3600, replicas=1),
        Rate(100, 200, price=3600, replicas=3),
        Rate(200, None, price=7200, replicas=3),
    ]
    assert charge(rates, 0, 300) == 100 + 300 + 600
    assert charge(rates, 99, 101) == 1 + 3


def test_a_fraction_is_charged_once_it_is_a_whole() -> None:
    rates = [Rate(0, None, price=1, replicas=1)]
    assert [charge(rates, hour * 1800, (hour + 1) * 1800) for hour in range(4)] == [0, 1, 0, 1]


def test_what_ended_before_it_began_costs_nothing() -> None:
    withdrawn = Rate(500, 100, price=DOLLAR, replicas=1)
    assert charge([withdrawn, Rate(200, 200, price=DOLLAR, replicas=1)], 0, 1000) == 0
    assert outages([], [withdrawn], 1000) == []


@pytest.mark.parametrize("end", [101, None])
def test_two_rates_at_once_are_refused(end: int | None) -> None:
    rates = [Rate(100, None, price=1, replicas=1), Rate(0, end, price=1, replicas=1)]
    with pytest.raises(ValueError, match="two rates are in force at 100"):
        charge(rates, 0, 10)
    with pytest.raises(ValueError, match="two rates are in force at 100"):
        credit(rates, [], 0, 10)


@given(lives(), st.lists(st.integers(0, LONG + 50), min_size=2, max_size=8))
def test_bills_add_up(rates: list[Rate], moments: list[int]) -> None:
    moments.sort()
    parts = [charge(rates, begin, end) for begin, end in pairwise(moments)]
    assert all(part >= 0 for part in parts)
    assert sum(parts) == charge(rates, moments[0], moments[-1])


@given(lives(), st.integers(0, LONG + 50))
def test_a_bill_is_the_sum_of_its_seconds(rates: list[Rate], end: int) -> None:
    assert charge(rates, 0, end) == math.floor(exact(rates, 0, end))


@given(lives(), st.integers(0, LONG), st.integers(0, LONG))
def test_a_bill_does_not_change_when_something_ends_later(rates: list[Rate], end: int, more: int) -> None:
    closed = [
        Rate(rate.begin, max(rate.begin, end) + more, price=rate.price, replicas=rate.replicas)
        if rate.end is None
        else rate
        for rate in rates
    ]
    assert charge(closed, 0, end) == charge(rates, 0, end)


def test_a_minute_is_tolerated_and_a_second_more_is_not() -> None:
    whole = [Span(0, 1000)]
    assert outages([Span(0, 100), Span(160, None)], whole, 1000) == []
    assert outages([Span(0, 100), Span(161, None)], whole, 1000) == [Outage(100, 161)]


def test_a_start_counts_like_any_gap() -> None:
    assert outages([Span(60, None)], [Span(0)], 500) == []
    assert outages([Span(61, None)], [Span(0)], 500) == [Outage(0, 61)]
    assert outages([], [Span(0)], 61) == [Outage(0, 61)]


def test_an_outage_that_lasts_is_known_after_a_minute() -> None:
    assert outages([Span(0, 100)], [Span(0)], 160) == []
    assert outages([Span(0, 100)], [Span(0)], 161) == [Outage(100, 161)]
    assert outages([Span(0, 100)], [Span(0)], 90) == []


def test_nobody_waits_for_a_replica_that_is_not_wanted() -> None:
    lived = [Span(0, 100), Span(500, 600)]
    assert outages([Span(0, 100)], lived, 1000) == [Outage(500, 600)]
    assert outages([Span(0, 50), Span(550, 600)], lived, 1000) == []


def test_a_change_of_price_does_not_cut_an_outage() -> None:
    rates = [Rate(0, 100, price=3600, replicas=1), Rate(100, None, price=7200, replicas=1)]
    assert outages([Span(0, 60), Span(140)], life(rates, 0), 500) == [Outage(60, 140)]
    assert credit(rates, [Outage(60, 140)], 0, 500) == 40 + 80


def test_processes_that_take_turns_are_one_replica() -> None:
    assert outages([Span(100, 300), Span(0, 100), Span(250)], [Span(0)], 1000) == []


def test_a_replica_lives_while_there_are_more() -> None:
    rates = [
        Rate(0, 10, price=1, replicas=1),
        Rate(10, 20, price=1, replicas=3),
        Rate(20, price=1, replicas=2),
    ]
    assert life(rates, 0) == [Span(0, 10), Span(10, 20), Span(20)]
    assert life(rates, 1) == [Span(10, 20), Span(20)]
    assert life(rates, 2) == [Span(10, 20)] and life(rates, 3) == []


def test_the_whole_length_of_an_outage_is_credited_for_its_replica_alone() -> None:
    rates = [Rate(0, None, price=36_000_000_000, replicas=3)]
    assert charge(rates, 0, 3600) == 108 * DOLLAR
    assert credit(rates, [Outage(100, 190)], 0, 3600) == 90 * 10_000_000
    assert credit(rates, [Outage(100, 190), Outage(150, 250)], 0, 3600) == 190 * 10_000_000
    assert credit(rates, [Outage(100, 190)], 150, 3600) == 40 * 10_000_000


def test_no_more_is_credited_than_there_are_replicas() -> None:
    rates = [Rate(0, 1000, price=3600, replicas=2), Rate(1000, 2000, price=3600, replicas=0)]
    assert credit(rates, [Outage(0, 3000)] * 5, 0, 3000) == charge(rates, 0, 3000) == 2000


def test_nothing_is_credited_while_nothing_is_charged() -> None:
    rates = [Rate(2000, 2500, price=3600, replicas=1), Rate(0, 1000, price=3600, replicas=2)]
    assert credit(rates, [Outage(0, 3000)] * 2, 0, 3000) == charge(rates, 0, 3000) == 2500
    assert credit(rates, [Outage(0, 3000)] * 2, 1000, 2000) == 0


def test_where_everything_is_away_nothing_is_left_to_pay() -> None:
    rates = [Rate(0, None, price=1001, replicas=3)]
    gaps = [Outage(7, 300)] * 3
    for begin in range(7, 290):
        assert credit(rates, gaps, begin, begin + 10) == charge(rates, begin, begin + 10)


@given(spans(), spans(3), st.integers(0, LONG))
def test_outages_are_found_second_by_second(ready: list[Span], lived: list[Span], until: int) -> None:
    expected: list[Outage] = []
    run = 0
    for second in range(until + 1):
        wanted = second < until and any(inside(span, second) for span in lived)
        if wanted and not any(inside(span, second) for span in ready):
            run += 1
            continue
        if run > 60:
            expected.append(Outage(second - run, second))
        run = 0
    assert outages(ready, lived, until) == expected


@given(spans(), spans(3), st.integers(0, LONG), st.integers(0, LONG))
def test_outages_are_final_after_a_minute(ready: list[Span], lived: list[Span], end: int, more: int) -> None:
    """What is said of the time before `end` a minute later is never said otherwise, whatever happens then."""

    def before(known: list[Outage]) -> list[tuple[int, int]]:
        return [(gap.begin, min(end, gap.end)) for gap in known if gap.begin < end]

    assert before(outages(ready, lived, end + 60)) == before(outages(ready, lived, end + 60 + more))


@given(lives(), st.lists(spans(), min_size=3, max_size=4), st.data())
def test_credits_add_up_and_never_pass_the_charge(
    rates: list[Rate], ready: list[list[Span]], data: st.DataObject
) -> None:
    gaps = every_outage(rates, ready, LONG)
    moments = sorted(data.draw(st.lists(st.integers(0, LONG + 50), min_size=2, max_size=8)))
    parts = [credit(rates, gaps, begin, end) for begin, end in pairwise(moments)]
    assert sum(parts) == credit(rates, gaps, moments[0], moments[-1])
    for part, (begin, end) in zip(parts, pairwise(moments), strict=True):
        assert 0 <= part <= charge(rates, begin, end)


@given(lives(), st.lists(spans(), min_size=3, max_size=3), st.integers(0, LONG))
def test_a_credit_is_the_sum_of_its_seconds(rates: list[Rate], ready: list[list[Span]], end: int) -> None:
    """Every second's share of what is charged for it, and of what it costs exactly but for the rounding."""
    gaps = every_outage(rates, ready, LONG)
    shares, costs, cut = Fraction(0), Fraction(0), 0
    before: tuple[object, int] = (None, 0)
    for second in range(end):
        for rate in rates:
            if inside(rate, second):
                out = sum(inside(gap, second) for gap in gaps)
                cut += before != (rate, out)
                before = rate, out
                costs += Fraction(rate.price * out, 3600)
                if out:
                    shares += Fraction(charge(rates, second, second + 1) * out, rate.replicas)
    found = credit(rates, gaps, 0, end)
    assert found == math.floor(shares)
    assert abs(found - costs) <= 1 + cut

"""Advice: break-even by another calculation, trends by their normal equations, days by a look at each."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.ledger.advice import (
    Advice,
    Day,
    Offer,
    Plan,
    Trend,
    advise,
    break_even_tokens,
    cheapest,
    cost_per_day,
    crossing,
    fit,
    plan_for,
    replicas_for,
    steady,
)

DOLLAR = 10**9
TODAY = date(2026, 11, 27)
OFFER = Offer(name="one", price=37_500_000_000, throughput=6000, latency=500)
"""$900 a day; carries 450 million tokens a day if they come evenly."""

prices = st.integers(1, 100 * DOLLAR)
token_prices = st.integers(1, DOLLAR)
offers = st.lists(
    st.builds(
        Offer,
        name=st.text("abc", max_size=1),
        price=st.integers(0, 9),
        throughput=st.integers(1, 9),
        latency=st.integers(0, 9),
        most=st.none() | st.integers(0, 9),
    ),
    max_size=5,
)


def ago(days: int) -> date:
    return TODAY - timedelta(days)


@st.composite
def histories(draw: st.DrawFn) -> list[Day]:
    """Days in any order, some of them missing."""
    chosen = draw(st.lists(st.integers(-20, 40), min_size=1, max_size=8, unique=True))
    return [Day(ago(days), draw(st.integers(0, 2000)), draw(st.integers(0, 50))) for days in chosen]


def rising(cost: int, growth: int) -> list[Day]:
    """Thirty days up to yesterday, at $0.002 for 1,000 tokens; today's would cost `cost`."""
    costs = [cost - growth * days for days in range(30, 0, -1)]
    return [Day(ago(30 - n), cost, cost * 1000 // 2_000_000) for n, cost in enumerate(costs)]


def advised(days: list[Day], *offers: Offer, peak: int = 6000, price: int | None = None) -> Advice:
    return advise(days, offers, peak=peak, latency=500, today=TODAY, nano_per_1k_tokens=price)


def test_the_known_example() -> None:
    assert cost_per_day(37_500_000_000, 1) == 900 * DOLLAR
    assert break_even_tokens(37_500_000_000, 1, 2_000_000) == 450_000_000
    assert break_even_tokens(37_500_000_000, 2, 2_000_000) == 900_000_000


def test_where_tokens_are_free_nothing_breaks_even() -> None:
    assert break_even_tokens(37_500_000_000, 1, 0) is None


def test_replicas_carry_a_peak() -> None:
    assert [replicas_for(peak, 100) for peak in (0, 1, 100, 101, 200, 201)] == [1, 1, 1, 2, 2, 3]
    with pytest.raises(ValueError, match="carries nothing"):
        replicas_for(1, 0)


@given(prices, st.integers(1, 50), token_prices)
def test_break_even_is_where_costs_meet(price: int, replicas: int, each: int) -> None:
    tokens = break_even_tokens(price, replicas, each)
    assert tokens is not None
    instance = Decimal(price).scaleb(-9) * replicas * 24
    of_one = Decimal(each).scaleb(-9) / 1000
    assert of_one * tokens >= instance > of_one * (tokens - 1)
    assert steady(TODAY, tokens, each).cost >= cost_per_day(price, replicas)
    assert steady(TODAY, tokens - 1, each).cost < cost_per_day(price, replicas)


@given(st.integers(0, 5000), st.integers(1, 99))
def test_no_replica_is_too_much_or_missing(peak: int, each: int) -> None:
    replicas = replicas_for(peak, each)
    assert replicas * each >= peak
    assert replicas == 1 or (replicas - 1) * each < peak


def test_the_cheapest_offer_that_carries_the_peak_within_the_objective() -> None:
    slow = Offer(name="slow", price=10, throughput=1000, latency=900)
    small = Offer(name="small", price=12, throughput=100, latency=300)
    large = Offer(name="large", price=40, throughput=500, latency=300)
    assert cheapest([slow, small, large], 300, 500) == Plan(small, 3, 864)
    assert cheapest([slow, small, large], 400, 500) == Plan(large, 1, 960)
    assert cheapest([slow, small, large], 400, 900) == Plan(slow, 1, 240)
    assert cheapest([slow, small, large], 400, 299) is None and cheapest([], 1, 500) is None


def test_no_more_replicas_than_are_to_be_had() -> None:
    few = Offer(name="few", price=1, throughput=100, latency=1, most=2)
    many = Offer(name="many", price=9, throughput=100, latency=1)
    assert cheapest([few, many], 200, 1) == Plan(few, 2, 48)
    assert cheapest([few, many], 201, 1) == Plan(many, 3, 648)
    assert cheapest([Offer(name="none", price=1, throughput=1, latency=1, most=0)], 0, 1) is None


def test_of_equal_offers_the_one_with_fewer_replicas_then_the_first() -> None:
    two = Offer(name="two", price=5, throughput=50, latency=1)
    one, other = (Offer(name=name, price=10, throughput=100, latency=1) for name in ("one", "other"))
    assert cheapest([two, one, other], 100, 1) == Plan(one, 1, 240)


@given(offers, st.integers(0, 30), st.integers(0, 9))
def test_no_offer_that_would_do_is_cheaper(offers: list[Offer], peak: int, latency: int) -> None:
    costs = [
        24 * offer.price * replicas
        for offer in offers
        for replicas in range(1, 31)
        if offer.latency <= latency
        and replicas * offer.throughput >= peak
        and (offer.most is None or replicas <= offer.most)
    ]
    plan = cheapest(offers, peak, latency)
    assert (plan and plan.cost) == min(costs, default=None)


@given(histories())
def test_a_trend_leaves_the_least_squares(days: list[Day]) -> None:
    """What it misses each day by is 0 in all, and leans neither way: so no other line misses by less."""
    trend = fit(days)
    missed = [(day.day - TODAY, day.cost - trend.at(day.day)) for day in days]
    assert sum(by for _, by in missed) == 0
    assert sum(since.days * by for since, by in missed) == 0
    if len(days) == 1:
        assert trend.slope == 0


def test_without_a_day_the_trend_is_nothing() -> None:
    assert fit([]).at(TODAY) == 0 and fit([]).slope == 0


def test_when_a_trend_crosses_a_cost() -> None:
    trend = Trend(ago(10), Fraction(0), Fraction(10))
    assert crossing(trend, 100, TODAY) == crossing(trend, 50, TODAY) == TODAY
    assert crossing(trend, 101, TODAY) == crossing(trend, 110, TODAY) == TODAY + timedelta(1)
    assert crossing(trend, 111, TODAY) == TODAY + timedelta(2)
    assert crossing(trend, 120, TODAY, 2) == TODAY + timedelta(2)
    assert crossing(trend, 121, TODAY, 2) is None and crossing(trend, 101, TODAY, 0) is None


def test_a_trend_that_does_not_rise_never_crosses() -> None:
    falling = Trend(ago(10), Fraction(1000), Fraction(-10))
    assert crossing(falling, 901, TODAY) is None
    assert crossing(falling, 900, TODAY) == TODAY
    assert crossing(Trend(TODAY, Fraction(5), Fraction(0)), 6, TODAY) is None


@given(histories(), st.integers(-10, 4000), st.integers(0, 60))
def test_a_crossing_is_the_first_day_that_costs_as_much(days: list[Day], cost: int, horizon: int) -> None:
    trend = fit(days)
    ahead = (TODAY + timedelta(n) for n in range(horizon + 1))
    assert crossing(trend, cost, TODAY, horizon) == next((d for d in ahead if trend.at(d) >= cost), None)


def test_a_day_at_a_price() -> None:
    assert advised([steady(TODAY, 450_000_000, 2_000_000)], OFFER) == Advice(
        verdict="dedicated",
        day=TODAY,
        shared=900 * DOLLAR,
        growth=0,
        tokens=450_000_000,
        price=2_000_000,
        plan=Plan(OFFER, 1, 900 * DOLLAR),
        break_even=450_000_000,
    )
    assert advised([steady(TODAY, 449_999_999, 2_000_000)], OFFER).verdict == "shared"


def test_a_price_that_is_given_is_the_one_that_counts() -> None:
    days = [steady(TODAY, 450_000_000, 2_000_000)]
    assert advised(days, OFFER, price=4_000_000).break_even == 225_000_000
    free = advised(days, OFFER, price=0)
    assert (free.price, free.break_even) == (0, None)


def test_growth_that_the_instance_carries() -> None:
    """$800 a day and $9 more with each; the peak may grow by an eighth until then."""
    advice = advised(rising(800 * DOLLAR, 9 * DOLLAR), OFFER, peak=5000)
    assert advice.verdict == "dedicated from 2026-12-09" and advice.day == date(2026, 12, 9)
    assert advice.plan == Plan(OFFER, 1, 900 * DOLLAR)
    assert (advice.shared, advice.growth, advice.price) == (800 * DOLLAR, 9 * DOLLAR, 2_000_000)
    assert advice.break_even == 450_000_000


def test_growth_that_needs_another_replica_costs_another() -> None:
    """At $800 the peak needs one replica, at $908 two, which cost $1,800: so much is reached in 112 days."""
    days = rising(800 * DOLLAR, 9 * DOLLAR)
    assert advised(days, OFFER, peak=5900).verdict == "shared"
    later = advise(days, [OFFER], peak=5300, latency=500, today=TODAY, horizon=112)
    assert later.plan == Plan(OFFER, 2, 1800 * DOLLAR) and later.break_even == 900_000_000
    assert later.day == TODAY + timedelta(112)


def test_growth_beyond_what_is_to_be_had() -> None:
    last = Offer(name="last", price=OFFER.price, throughput=6000, latency=500, most=1)
    advice = advised(rising(800 * DOLLAR, 9 * DOLLAR), last, peak=5900)
    assert (advice.verdict, advice.day, advice.plan) == ("shared", None, plan_for(last, 5900))


def test_without_use_or_offers_the_shared_service_is_advised() -> None:
    unused = advised([], OFFER)
    assert (unused.verdict, unused.shared, unused.tokens, unused.break_even) == ("shared", 0, 0, None)
    alone = advised(rising(2000 * DOLLAR, 0))
    assert (alone.verdict, alone.plan, alone.break_even) == ("shared", None, None)


def test_a_trend_below_nothing_is_shown_as_nothing() -> None:
    begun = advised([Day(ago(2), 100 * DOLLAR, 1), Day(ago(1), 0, 0)], OFFER)
    assert (begun.shared, begun.growth, begun.verdict) == (0, -100 * DOLLAR, "shared")


def test_an_instance_for_nothing_is_cheaper_than_no_use() -> None:
    gift = Offer(name="gift", price=0, throughput=1, latency=1)
    advice = advised([], OFFER, gift, peak=3)
    assert (advice.verdict, advice.plan) == ("dedicated", Plan(gift, 3, 0))


@given(histories(), offers, st.integers(0, 20), st.integers(0, 9), st.integers(0, 60))
def test_advice_is_what_a_look_at_each_day_says(
    days: list[Day], offers: list[Offer], peak: int, latency: int, horizon: int
) -> None:
    advice = advise(days, offers, peak=peak, latency=latency, today=TODAY, horizon=horizon)
    trend = fit(days)
    expected = None
    for day in (TODAY + timedelta(n) for n in range(horizon + 1)):
        growth = max(1, trend.at(day) / trend.at(TODAY)) if trend.at(TODAY) > 0 else 1
        plan = cheapest(offers, -(-peak * growth // 1), latency)
        if plan and plan.cost <= trend.at(day):
            expected = day
            assert advice.plan == plan
            break
    assert advice.day == expected
    assert (advice.verdict == "shared") == (expected is None)
    assert (advice.verdict == "dedicated") == (expected == TODAY)
    if expected is None:
        assert advice.plan == cheapest(offers, peak, latency)

"""Whether an instance of one's own is cheaper than the shared service, and from when on.

Plain functions. Money is whole nano-dollars. A peak and what carries it are counted in the same tokens.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from fractions import Fraction

import msgspec

HOURS = 24
PER = 1000
"""Prices of tokens are for so many."""
HORIZON = 90
"""Days that a trend is followed into the future, if nothing else is said."""


class Day(msgspec.Struct, frozen=True):
    """What an organization paid for its use of the shared service on a whole day."""

    day: date
    cost: int
    tokens: int


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """An instance that is to be had, at one load of its replicas; one for each load that was measured."""

    name: str
    price: int
    """Nano-dollars an hour for one replica."""
    throughput: int
    """Whole tokens a second that one replica carries at this load, more than 0."""
    latency: int
    """Milliseconds that it takes at this load, as the objective counts them."""
    most: int | None = None
    """Replicas that are to be had; None if there are enough."""


class Plan(msgspec.Struct, frozen=True):
    """An offer, with as many replicas as are needed, and what they cost a day."""

    offer: Offer
    replicas: int
    cost: int


class Trend(msgspec.Struct, frozen=True):
    """A straight line: `level` nano-dollars a day at `origin`, and `slope` more with every day."""

    origin: date
    level: Fraction
    slope: Fraction

    def at(self, day: date) -> Fraction:
        return self.level + self.slope * (day - self.origin).days


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """What to do, and the figures behind it. Fractions are rounded down."""

    verdict: str
    """`shared`, `dedicated`, or `dedicated from <day>`."""
    day: date | None
    """From when on an instance is cheaper: today, a later day, or never as far as can be seen."""
    shared: int
    """What the shared service costs a day, by the trend of today; never below 0."""
    growth: int
    """By how much that grows every day."""
    tokens: int
    """Tokens a day, on average."""
    price: int
    """What 1,000 tokens cost in the shared service."""
    plan: Plan | None
    """The cheapest that carries the peak, on the day of the verdict; None if nothing does."""
    break_even: int | None
    """From so many tokens a day on, the plan is cheaper; None without a plan, or where tokens are free."""


def replicas_for(peak: int, each: int) -> int:
    """How many replicas carry a peak, if each carries so much, both in tokens a second; at least one.

    Raises `ValueError` if they carry nothing.
    """
    if each <= 0:
        raise ValueError("a replica that carries nothing carries no peak")
    return max(1, -(-peak // each))


def cost_per_day(price_per_hour: int, replicas: int) -> int:
    """Of a day of 24 hours."""
    return HOURS * price_per_hour * replicas


def break_even_tokens(price_per_hour: int, replicas: int, nano_per_1k_tokens: int | Fraction) -> int | None:
    """The fewest tokens a day that cost as much, shared, as the replicas do; None if the shared are free."""
    if nano_per_1k_tokens <= 0:
        return None
    return math.ceil(Fraction(cost_per_day(price_per_hour, replicas) * PER) / nano_per_1k_tokens)


def plan_for(offer: Offer, peak: int) -> Plan:
    """An offer with the replicas that carry a peak (tokens a second), whether or not there are so many."""
    replicas = replicas_for(peak, offer.throughput)
    return Plan(offer, replicas, cost_per_day(offer.price, replicas))


def cheapest(offers: Iterable[Offer], peak: int, latency: int) -> Plan | None:
    """The cheapest way to carry a peak (tokens a second) within a latency (milliseconds), if there is one.

    Of two that cost the same it is the one with fewer replicas, then the one that is offered first.
    """
    plans = (plan_for(offer, peak) for offer in offers if offer.latency <= latency)
    possible = (plan for plan in plans if plan.offer.most is None or plan.replicas <= plan.offer.most)
    return min(possible, key=lambda plan: (plan.cost, plan.replicas), default=None)


def steady(day: date, tokens: int, nano_per_1k_tokens: int) -> Day:
    """A day with so many tokens at a price: for who has no history, but knows what to expect."""
    return Day(day, tokens * nano_per_1k_tokens // PER, tokens)


def fit(days: Sequence[Day]) -> Trend:
    """The straight line through what each day cost, by least squares; flat through one day, 0 without any.

    There must be one of each day, also of those on which nothing was used.
    """
    if not days:
        return Trend(date.min, Fraction(0), Fraction(0))
    origin, n = min(day.day for day in days), len(days)
    xs, ys = [(day.day - origin).days for day in days], [day.cost for day in days]
    spread = n * sum(x * x for x in xs) - sum(xs) ** 2
    product = n * sum(x * y for x, y in zip(xs, ys, strict=True)) - sum(xs) * sum(ys)
    slope = Fraction(product, spread) if spread else Fraction(0)
    return Trend(origin, (sum(ys) - slope * sum(xs)) / n, slope)


def crossing(trend: Trend, cost: int, today: date, horizon: int = HORIZON) -> date | None:
    """The first day, from `today` on, on which a trend has reached a cost per day.

    None if that is not within `horizon` days.
    """
    missing = cost - trend.at(today)
    if missing <= 0:
        return today
    if trend.slope <= 0 or missing > trend.slope * horizon:
        return None
    return today + timedelta(math.ceil(missing / trend.slope))


def advise(
    days: Sequence[Day],
    offers: Sequence[Offer],
    *,
    peak: int,
    latency: int,
    today: date,
    horizon: int = HORIZON,
    nano_per_1k_tokens: int | None = None,
) -> Advice:
    """What to do, given what the shared service cost on each of some `days`.

    `peak` is today's, in tokens a second, and to be carried within `latency` milliseconds. Tokens cost what
    they did on average, if no price is given.
    """
    trend = fit(days)
    plan, day = _decide(trend, offers, peak, latency, today, horizon)
    tokens = sum(one.tokens for one in days)
    price = Fraction(sum(one.cost for one in days) * PER, tokens) if tokens else Fraction(0)
    if nano_per_1k_tokens is not None:
        price = Fraction(nano_per_1k_tokens)
    return Advice(
        verdict="shared" if day is None else "dedicated" if day == today else f"dedicated from {day}",
        day=day,
        shared=max(0, math.floor(trend.at(today))),
        growth=math.floor(trend.slope),
        tokens=tokens // max(1, len(days)),
        price=math.floor(price),
        plan=plan,
        break_even=None if plan is None else break_even_tokens(plan.offer.price, plan.replicas, price),
    )


def _decide(
    trend: Trend, offers: Sequence[Offer], peak: int, latency: int, today: date, horizon: int
) -> tuple[Plan | None, date | None]:
    """The first day on which the trend has reached what an instance costs that carries the peak of that day.

    With its plan; without such a day, the plan for today. The peak grows as the trend does, for what is
    cheaper than what will be used in a month must carry that, too; where the trend falls, the peak stays.
    """
    now = plan = cheapest(offers, peak, latency)
    while plan is not None:
        day = crossing(trend, plan.cost, today, horizon)
        if day is None:
            break
        grown = cheapest(offers, _grown(peak, trend, today, day), latency)
        if grown is not None and grown.cost <= trend.at(day):
            return grown, day
        plan = grown  # it costs more than the one before, so its day is later
    return now, None


def _grown(peak: int, trend: Trend, today: date, day: date) -> int:
    """The peak on a day to come, if it grows as costs do; the same as today where there are none today."""
    before, after = trend.at(today), trend.at(day)
    return math.ceil(peak * after / before) if before > 0 else peak

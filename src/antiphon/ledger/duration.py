"""What time costs: instances that are billed by the second, and what is given back for their outages.

Plain functions. Moments are unix seconds, and spans of them half-open; money is whole nano-dollars. What a
bill says of a period is the difference of two sums from the instance's beginning, each rounded down once: the
bills of consecutive periods add up to the bill of the whole. So `rates` and `outages` are always those of its
whole life so far, whichever period is asked for.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import pairwise

import msgspec

HOUR = 3600
"""Prices are for so many seconds."""
TOLERATED = 60
"""Seconds that a replica may be away without being credited."""


class Span(msgspec.Struct, frozen=True):
    """From `begin` until before `end`; it lasts if that is None."""

    begin: int
    end: int | None = None


class Rate(Span, frozen=True, kw_only=True):
    """What an instance costs while nothing of it changes: nano-dollars an hour for each of its replicas."""

    price: int
    replicas: int


class Outage(msgspec.Struct, frozen=True):
    """A time in which one replica should have been ready, and was not; longer than is tolerated."""

    begin: int
    end: int


def charge(rates: Iterable[Rate], begin: int, end: int) -> int:
    """What an instance costs from `begin` until before `end`; a fraction counts once it has become a whole.

    Raises `ValueError` if two rates are in force at once.
    """
    ordered = _in_order(rates)
    return _charged(ordered, end) - _charged(ordered, begin)


def life(rates: Iterable[Rate], replica: int) -> list[Span]:
    """When an instance's replica should be ready, counted from 0: while it has more replicas than that."""
    return [Span(rate.begin, rate.end) for rate in rates if rate.replicas > replica]


def outages(ready: Iterable[Span], life: Iterable[Span], until: int) -> list[Outage]:
    """When one replica was away for more than a minute at a time, up to `until`, in the order of time.

    It is away while it has a `life` and is not `ready`, also before it was ready for the first time. What is
    said of a period is final if `until` is a minute or more after its end: who went away before may still be
    back in time.
    """
    alive, there = _changes(life, until), _changes(ready, until)
    lives = readies = 0
    found: list[Outage] = []
    since: int | None = None
    for moment in sorted({*alive, *there}):
        lives += alive[moment]
        readies += there[moment]
        away = lives > 0 and not readies
        if away and since is None:
            since = moment
        elif since is not None and not away:
            found.append(Outage(since, moment))
            since = None
    return [gap for gap in found if gap.end - gap.begin > TOLERATED]


def credit(rates: Iterable[Rate], outages: Iterable[Outage], begin: int, end: int) -> int:
    """What is given back for the outages of all replicas, as far as they lie between `begin` and `end`.

    It is their share of what is charged for the same seconds: in no period more than that, and all of it
    while every replica is away. Raises `ValueError` if two rates are in force at once.
    """
    ordered, gaps = _in_order(rates), list(outages)
    return _credited(ordered, gaps, end) - _credited(ordered, gaps, begin)


def _in_order(rates: Iterable[Rate]) -> list[Rate]:
    """Those that are ever in force, the earliest first."""
    found = sorted(
        (rate for rate in rates if rate.end is None or rate.begin < rate.end), key=lambda rate: rate.begin
    )
    for earlier, later in pairwise(found):
        if earlier.end is None or later.begin < earlier.end:
            raise ValueError(f"two rates are in force at {later.begin}")
    return found


def _charged(rates: Iterable[Rate], until: int) -> int:
    """What is charged from the beginning on."""
    return sum(rate.price * rate.replicas * _seconds(rate, until) for rate in rates) // HOUR


def _seconds(span: Span, until: int) -> int:
    return max(0, (until if span.end is None else min(span.end, until)) - span.begin)


def _credited(rates: Sequence[Rate], outages: Sequence[Outage], until: int) -> int:
    """What is given back from the beginning on.

    The shares are of whole nano-dollars, as charged: rounded apart from it, they could pass a charge by one.
    """
    charged, shares = 0, Fraction(0)
    for rate, seconds, out in _stretches(rates, outages, until):
        before = charged // HOUR
        charged += rate.price * rate.replicas * seconds
        if rate.replicas:
            # More cannot be away than there are, whatever was recorded.
            shares += Fraction((charged // HOUR - before) * min(out, rate.replicas), rate.replicas)
    return math.floor(shares)


def _stretches(
    rates: Sequence[Rate], outages: Sequence[Outage], until: int
) -> Iterator[tuple[Rate, int, int]]:
    """The times in which nothing changes, in order: the rate, its seconds, and how many replicas are away."""
    in_force: dict[int, Rate | None] = {}
    for rate in rates:
        in_force[rate.begin] = rate  # in place of the None of one that ends now
        if rate.end is not None:
            in_force[rate.end] = None
    changes, out = _changes(outages, until), 0
    current: Rate | None = None
    moments = sorted(moment for moment in {*in_force, *changes} if moment < until)
    for moment, following in pairwise([*moments, until]):
        current = in_force.get(moment, current)
        out += changes[moment]
        if current is not None:
            yield current, following - moment, out


def _changes(spans: Iterable[Span | Outage], until: int) -> Counter[int]:
    """By how much the number of spans changes at a moment; all of them end at `until`."""
    changes: Counter[int] = Counter()
    for span in spans:
        end = until if span.end is None else min(span.end, until)
        if span.begin < end:
            changes[span.begin] += 1
            changes[end] -= 1
    return changes

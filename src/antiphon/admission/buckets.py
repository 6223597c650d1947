"""The arithmetic of rates: plain functions of numbers, no clock and no `await`.

What was taken of a limit by the minute flows off evenly, all of the limit in a minute: a token bucket, seen
from its other side. What was taken of a limit by the day counts until the day of UTC is over. `ask.lua` says
the same to Valkey; the tests compare the two.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from antiphon.admission.limits import METERS, Demand, Limits, Meter

MINUTE = 60.0
DAY = 86_400.0


class Moment(msgspec.Struct, frozen=True):
    """`now` in seconds of a clock that does not jump; `day` in days since 1970, which ends in `day_left`."""

    now: float
    day: int
    day_left: float


class Count(msgspec.Struct, frozen=True):
    """What was taken, as of a moment, or as of a day for what is counted by the day."""

    used: float = 0.0
    at: float = 0.0


class Want(msgspec.Struct, frozen=True):
    """What a request wants of one limit. Below 0 it gives back what it was thought to take."""

    meter: Meter
    limit: int
    amount: float


class Quota(msgspec.Struct, frozen=True, kw_only=True):
    """How a project stands against one limit. Times are seconds.

    `reset` is when nothing of what was taken will count any more. `wait` is when what was `requested`, and
    not taken, would fit: 0 if this limit is not in the way, infinite if it always will be.
    """

    meter: Meter
    limit: int
    used: float
    requested: float
    remaining: int
    reset: float
    wait: float


Standing = tuple[Quota, ...]
"""How a project stands against every limit that it has, with one snapshot."""


def wants(limits: Limits, demand: Demand) -> list[Want]:
    """What a request wants of every limit that is set."""
    return [
        Want(meter, limit, getattr(demand, meter.counts))
        for meter in METERS
        if (limit := getattr(limits, meter.limit))
    ]


def current(count: Count, want: Want, moment: Moment) -> Count:
    """What still counts at a moment. A clock that was set back neither hides anything nor holds it back."""
    if want.meter.daily:
        return Count(count.used if count.at >= moment.day else 0.0, max(count.at, moment.day))
    flown = max(0.0, moment.now - count.at) * want.limit / MINUTE
    return Count(max(0.0, count.used - flown), moment.now)


def fits(count: Count, want: Want) -> bool:
    """Whether there is room for what is wanted. Nothing at all fits even where too much was taken."""
    return want.amount <= 0 or count.used + want.amount <= want.limit


def taken(count: Count, want: Want) -> Count:
    return Count(max(0.0, count.used + want.amount), count.at)


def standing(want: Want, used: float, day_left: float, *, got: bool) -> Quota:
    """What `used` of a limit, as it is now, means for who wanted something of it, and `got` it or did not."""
    daily, limit = want.meter.daily, want.limit
    return Quota(
        meter=want.meter,
        limit=limit,
        used=used,
        requested=want.amount,
        remaining=max(0, int(limit - used)),
        reset=(day_left if used else 0.0) if daily else used * MINUTE / limit,
        wait=0.0 if got else _wait(want, used, day_left),
    )


def _wait(want: Want, used: float, day_left: float) -> float:
    over = used + want.amount - want.limit
    if want.amount <= 0 or over <= 0:
        return 0.0
    if want.amount > want.limit:
        return math.inf
    return day_left if want.meter.daily else over * MINUTE / want.limit


def longest_wait(quotas: Sequence[Quota]) -> Quota | None:
    """The limit that is in the way of a request, if one is; of several the one to wait for longest."""
    return max((quota for quota in quotas if quota.wait), key=lambda quota: quota.wait, default=None)

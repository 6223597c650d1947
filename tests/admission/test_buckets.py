"""The arithmetic of rates, checked as such."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.admission.buckets import (
    Count,
    Moment,
    Want,
    current,
    fits,
    longest_wait,
    standing,
    taken,
    wants,
)
from antiphon.admission.limits import METERS, Demand, Limits

BY_MINUTE, _, _, _, BY_DAY, _ = METERS


def at(now: float, day: int = 100) -> Moment:
    return Moment(now, day, 3600.0)


def test_only_what_is_limited_is_wanted() -> None:
    limits = Limits(tokens_per_minute=5, requests_per_day=7, concurrent_requests=3)
    found = {want.meter.limit: (want.limit, want.amount) for want in wants(limits, Demand(tokens=9))}
    assert found == {"tokens_per_minute": (5, 9), "requests_per_day": (7, 1)}
    assert wants(Limits(), Demand()) == []


def test_a_minute_flows_off_evenly() -> None:
    want = Want(BY_MINUTE, 60, 1)
    assert current(Count(60, 100.0), want, at(100.25)).used == 59.75
    assert current(Count(60, 100.0), want, at(160.0)).used == 0
    assert current(Count(60, 100.0), want, at(1000.0)) == Count(0, 1000.0)


def test_a_day_ends_at_once() -> None:
    want = Want(BY_DAY, 60, 1)
    assert current(Count(60, 100), want, at(0.0, day=100)) == Count(60, 100)
    assert current(Count(60, 100), want, at(0.0, day=101)) == Count(0, 101)


def test_a_day_that_comes_again_is_not_counted_anew() -> None:
    want = Want(BY_DAY, 60, 1)
    assert current(Count(60, 101), want, at(0.0, day=100)) == Count(60, 101)


def test_what_is_wanted_fits_exactly_or_not() -> None:
    assert fits(Count(59), Want(BY_MINUTE, 60, 1)) and not fits(Count(59.001), Want(BY_MINUTE, 60, 1))
    assert fits(Count(90), Want(BY_MINUTE, 60, 0)) and fits(Count(90), Want(BY_MINUTE, 60, -5))


def test_no_more_is_given_back_than_counts() -> None:
    assert taken(Count(10, 5.0), Want(BY_MINUTE, 60, -4)) == Count(6, 5.0)
    assert taken(Count(10, 5.0), Want(BY_MINUTE, 60, -40)) == Count(0, 5.0)


@pytest.mark.parametrize(
    ("want", "used", "got", "wait"),
    [
        (Want(BY_MINUTE, 60, 1), 60, False, 1.0),
        (Want(BY_MINUTE, 60, 1), 60, True, 0.0),
        (Want(BY_MINUTE, 60, 1), 10, False, 0.0),
        (Want(BY_MINUTE, 60, 0), 90, False, 0.0),
        (Want(BY_MINUTE, 60, 61), 0, False, math.inf),
        (Want(BY_DAY, 60, 1), 60, False, 3600.0),
        (Want(BY_DAY, 60, 61), 0, False, math.inf),
    ],
)
def test_what_to_wait_for(want: Want, used: float, got: bool, wait: float) -> None:
    assert standing(want, used, 3600.0, got=got).wait == wait


def test_how_a_project_stands() -> None:
    quota = standing(Want(BY_MINUTE, 60, 1), 20.5, 3600.0, got=True)
    assert (quota.limit, quota.used, quota.remaining, quota.reset) == (60, 20.5, 39, 20.5)
    assert standing(Want(BY_MINUTE, 60, 1), 90, 3600.0, got=True).remaining == 0
    assert standing(Want(BY_DAY, 60, 1), 20, 3600.0, got=True).reset == 3600.0
    assert standing(Want(BY_DAY, 60, 1), 0, 3600.0, got=True).reset == 0.0


def test_the_longest_wait_is_the_one_that_counts() -> None:
    minute = standing(Want(BY_MINUTE, 60, 1), 60, 3600.0, got=False)
    day = standing(Want(BY_DAY, 60, 1), 60, 3600.0, got=False)
    free = standing(Want(BY_DAY, 60, 1), 6, 3600.0, got=False)
    assert longest_wait([minute, free, day]) is day
    assert longest_wait([free]) is None and longest_wait([]) is None


@given(st.integers(1, 10_000), st.lists(st.floats(0, 10, allow_nan=False), min_size=1, max_size=60))
def test_no_run_of_requests_passes_the_limit(limit: int, gaps: list[float]) -> None:
    """In any window, at most the limit plus what flowed off meanwhile is let through."""
    want, count, now, let_through = Want(BY_MINUTE, limit, 1), Count(), 0.0, 0
    for gap in gaps:
        now += gap
        count = current(count, want, at(now))
        if fits(count, want):
            count = taken(count, want)
            let_through += 1
    assert let_through <= limit + now * limit / 60 + 1e-6


@given(st.floats(0, 1e6), st.floats(0, 1000), st.floats(-10, 1000))
def test_time_only_ever_frees(used: float, then: float, now: float) -> None:
    assert 0 <= current(Count(used, then), Want(BY_MINUTE, 100, 1), at(now)).used <= used

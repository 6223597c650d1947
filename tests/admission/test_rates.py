"""Token buckets: plain arithmetic, checked as such."""

from __future__ import annotations

from typing import NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.admission.rates import Bucket, Rates, refill, standing


def test_a_minute_holds_exactly_its_limit() -> None:
    rates = Rates(60)
    answers = [rates.take("p", now=100.0) for _ in range(61)]
    assert [a.remaining for a in answers if a] == [*range(59, -1, -1), 0]
    assert [bool(a and a.retry_after) for a in answers] == [False] * 60 + [True]


def test_what_to_wait_for_is_told() -> None:
    rates = Rates(60)
    for _ in range(60):
        rates.take("p", now=0.0)
    refused = rates.take("p", now=0.25)
    assert refused is not None and refused.retry_after == 0.75
    assert rates.take("p", now=0.5) is not None
    allowed = rates.take("p", now=1.0)
    assert allowed is not None and not allowed.retry_after and allowed.reset == 60.0


def test_projects_do_not_share() -> None:
    rates = Rates(1)
    assert not (rates.take("a", 0.0) or fail()).retry_after
    assert not (rates.take("b", 0.0) or fail()).retry_after
    assert (rates.take("a", 0.0) or fail()).retry_after == 60.0


def test_zero_is_no_limit() -> None:
    rates = Rates(0)
    assert rates.take("p", 0.0) is None and rates.look("p", 0.0) is None


def test_looking_counts_nothing() -> None:
    rates = Rates(10)
    rates.take("p", 0.0)
    assert rates.look("p", 0.0) == rates.look("p", 0.0)
    assert (rates.look("p", 0.0) or fail()).remaining == 9


def test_forgotten_projects_start_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("antiphon.admission.rates._MOST_BUCKETS", 2)
    rates = Rates(1)
    for project in "abc":
        rates.take(project, 0.0)
    assert (rates.take("a", 0.0) or fail()).retry_after == 0.0
    assert (rates.take("c", 0.0) or fail()).retry_after > 0


@given(st.integers(1, 10_000), st.lists(st.floats(0, 10, allow_nan=False), min_size=1, max_size=60))
def test_no_run_of_requests_passes_the_limit(limit: int, gaps: list[float]) -> None:
    """In any window, at most the bucket plus what flowed in meanwhile is let through."""
    rates, now, let_through = Rates(limit), 0.0, 0
    for gap in gaps:
        now += gap
        answer = rates.take("p", now)
        let_through += not (answer or fail()).retry_after
    assert let_through <= limit + now * limit / 60 + 1e-6


@given(st.floats(0, 100), st.floats(0, 1000), st.floats(-10, 1000))
def test_a_bucket_never_overflows_nor_runs_backwards(tokens: float, at: float, now: float) -> None:
    bucket = Bucket(min(tokens, 100.0), at)
    later = refill(bucket, 100, now)
    assert bucket.tokens <= later.tokens <= 100
    assert 0 <= standing(later, 100).reset <= 60


def fail() -> NoReturn:
    raise AssertionError("there is a limit, so there is a standing")

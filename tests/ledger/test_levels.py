"""Loads compared: percentiles by counting, recommendations by looking at every load."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.ledger.levels import (
    ENOUGH,
    PERCENTILES,
    Level,
    Objective,
    Of,
    Percentiles,
    percentiles,
    recommended,
    whole,
)

waits = st.lists(st.floats(0, 1e6) | st.just(math.inf), max_size=300)
OBJECTIVE = Objective(seconds=2.0, percentile=95, of="answer")


def level(load: int, throughput: float, wait: float | None, first: float | None = 0.1) -> Level:
    return Level(
        load=load,
        answered=10,
        failed=0,
        seconds=10.0,
        throughput=throughput,
        written=throughput / 2,
        prompt_tokens=10.0,
        answer_tokens=10.0,
        first_token=Percentiles(*[first] * 4),
        answer=Percentiles(*[wait] * 4),
    )


levels = st.lists(
    st.builds(
        level,
        st.integers(1, 5),
        st.sampled_from([0.0, 1.0, 2.0, 3.0]),
        st.none() | st.floats(0, 4),
    )
)


@given(waits)
def test_so_many_of_100_waited_that_long_at_most(values: list[float]) -> None:
    found = percentiles(values)
    for percent in PERCENTILES:
        wait = found.at(percent)
        if wait is None:
            vain = sum(math.isinf(value) for value in values)
            assert not values or 100 * (len(values) - vain) < percent * len(values)
            continue
        assert wait in values
        assert 100 * sum(value <= wait for value in values) >= percent * len(values)
        assert 100 * sum(value < wait for value in values) < percent * len(values)


def test_of_nothing_there_are_none() -> None:
    assert percentiles([]) == Percentiles(None, None, None, None)


@pytest.mark.parametrize(("of", "expected"), [("answer", 3.0), ("first_token", 0.1)])
def test_a_latency_is_of_what_is_waited_for(of: Of, expected: float) -> None:
    assert level(1, 1.0, 3.0).latency(of, 99) == expected


def test_answers_that_ended_early_are_counted_on_at_their_pace() -> None:
    assert whole(1.0, 3.0, written=11, wanted=21, pace=9.0) == 5.0
    for written in (21, 30):  # nothing is missing
        assert whole(1.0, 3.0, written, 21, 9.0) == 3.0


def test_what_is_too_short_to_tell_is_counted_on_as_the_others() -> None:
    for written in (0, 1, ENOUGH - 1):
        assert whole(1.0, 3.0, written, 20, 0.5) == 3.0 + 0.5 * (20 - written)


@given(levels)
def test_what_is_recommended_carries_most_within_the_objective(found: list[Level]) -> None:
    within = [one for one in found if (wait := one.answer.p95) is not None and wait <= OBJECTIVE.seconds]
    best = recommended(found, OBJECTIVE)
    if best is None:
        assert not within
    else:
        assert best in within
        assert all((other.throughput, -other.load) <= (best.throughput, -best.load) for other in within)


def test_the_smallest_of_equal_loads_is_enough() -> None:
    best = recommended([level(4, 9.0, 2.0), level(2, 9.0, 1.0), level(8, 10.0, 2.1)], OBJECTIVE)
    assert best is not None and best.load == 2

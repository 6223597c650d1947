from __future__ import annotations

from hypothesis import given
from hypothesis.strategies import integers

from antiphon.pools.policy import Pace, after_failure, chosen, replicas_wanted

PACE = Pace(backoff=0.5, backoff_max=30.0, healthy=60.0)


def delays(lives: list[float | None]) -> list[float]:
    """The waits after each of these lives (seconds ready, None: never)."""
    failures, waits = 0, []
    for ready_seconds in lives:
        failures, delay = after_failure(failures, ready_seconds, PACE)
        waits.append(delay)
    return waits


def test_the_replica_with_the_smallest_share_in_use_serves() -> None:
    assert chosen([(3, 4), (1, 4), (2, 4)]) == 1
    assert chosen([(2, 2), (3, 8)]) == 1
    assert chosen([(1, 4), (1, 4)]) == 0
    assert chosen([(9, 4), (8, 4)]) == 1


def test_where_a_prompt_began_before_is_preferred_unless_it_is_much_fuller() -> None:
    assert chosen([(0, 8), (1, 8)], 1) == 1
    assert chosen([(0, 8), (2, 8)], 1) == 0
    assert chosen([(3, 4), (4, 4)], 1) == 0, "one that is full makes wait"


@given(
    now=integers(1, 8), ready=integers(0, 8), busy=integers(0, 100), waiting=integers(0, 100),
    slots=integers(1, 16), least=integers(1, 4), more=integers(0, 4),
)  # fmt: skip
def test_replicas_are_between_their_bounds_and_suffice_if_they_can(
    now: int, ready: int, busy: int, waiting: int, slots: int, least: int, more: int
) -> None:
    bounds = (least, least + more)
    wanted = replicas_wanted(now, ready, busy, waiting, slots, bounds)
    assert least <= wanted <= least + more
    if waiting:
        assert wanted * slots >= busy + waiting or wanted == least + more
        assert wanted > now or wanted in bounds or ready < now
    elif wanted < min(now, least + more):
        assert wanted == max(least, now - 1) and busy <= slots * wanted


def test_one_more_comes_only_when_those_that_are_wanted_are_ready_unless_they_are_too_few() -> None:
    assert replicas_wanted(1, 1, 4, 1, 4, (1, 6)) == 2
    assert replicas_wanted(2, 1, 4, 1, 4, (1, 6)) == 2, "it is on its way"
    assert replicas_wanted(2, 2, 4, 1, 4, (1, 6)) == 3, "there is one, and still somebody waits"
    assert replicas_wanted(2, 1, 4, 9, 4, (1, 6)) == 4, "two are not enough"


def test_a_crash_of_one_that_was_ready_costs_no_wait() -> None:
    assert delays([5.0]) == [0.0]


def test_crashes_in_a_row_wait_longer_and_longer() -> None:
    assert delays([5.0] * 5) == [0.0, 0.5, 1.0, 2.0, 4.0]


def test_one_that_never_becomes_ready_waits_at_once_and_up_to_the_bound() -> None:
    assert delays([None] * 9) == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


def test_health_forgets_earlier_failures() -> None:
    assert delays([None, None, 60.0, 5.0]) == [0.5, 1.0, 0.0, 0.5]
    assert delays([None, None, 59.0]) == [0.5, 1.0, 1.0]


def test_a_year_of_failures_does_not_overflow() -> None:
    assert delays([None] * 5000)[-1] == 30.0

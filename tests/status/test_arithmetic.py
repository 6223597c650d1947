"""Uptime of series that are written by hand, and what holds for any."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from antiphon.status.arithmetic import (
    DAY,
    MILLION,
    MINUTE,
    NOTHING,
    Life,
    Sum,
    budget,
    budget_left,
    losses,
    summed,
    uptime,
)

T = 1_800_000_000 - 1_800_000_000 % DAY
ALIVE = Life(alive=range(T, T + DAY, MINUTE))


def at(minute: int) -> int:
    return T + minute * MINUTE


def test_a_minute_loses_its_share() -> None:
    counts = {at(0): (3, 1), at(1): (0, 7), at(2): (5, 0)}
    assert losses(counts, ALIVE, at(0), at(3)) == {at(0): 250_000, at(1): MILLION, at(2): 0}
    total = summed(counts, ALIVE, at(0), at(3))
    assert total == Sum(known=3, lost=1_250_000, down=0, good=8, bad=8)
    assert uptime(total) == 58.333


def test_a_minute_that_nobody_asked_in_is_not_known() -> None:
    assert losses({at(0): (1, 0)}, ALIVE, at(0), at(3)) == {at(0): 0}
    assert uptime(summed({}, ALIVE, at(0), at(3))) is None


def test_a_minute_without_a_server_is_lost() -> None:
    life = Life(alive=[at(0), at(3)])
    assert losses({at(0): (1, 0), at(3): (1, 0)}, life, at(0), at(4)) == {
        at(0): 0,
        at(1): MILLION,
        at(2): MILLION,
        at(3): 0,
    }
    assert summed({at(0): (1, 0)}, life, at(0), at(4)).down == 2


def test_announced_maintenance_does_not_count() -> None:
    life = Life(alive=[at(0)], planned=[(at(1) + 30, at(2) + 1)])
    counts = {at(0): (1, 0), at(2): (0, 5)}
    assert losses(counts, life, at(0), at(4)) == {at(0): 0, at(3): MILLION}


def test_what_was_lost_never_looks_like_nothing() -> None:
    assert uptime(Sum(known=90 * 1440, lost=1)) == 99.999
    assert uptime(Sum(known=10)) == 100.0


def test_the_budget() -> None:
    assert budget(99.9) == 1000 and budget(99.999) == 10 and budget(99) == 10_000
    assert budget_left(NOTHING, 99.9) == 100.0
    # 43.2 minutes in 30 days: after 21.6 of them half is left, after 86.4 it is overdrawn by as much.
    assert budget_left(Sum(known=50, lost=21_600_000), 99.9) == 50.0
    assert budget_left(Sum(known=100, lost=86_400_000), 99.9) == -100.0


minutes = st.dictionaries(
    st.integers(0, 59).map(at), st.tuples(st.integers(0, 1000), st.integers(0, 1000)), max_size=60
)


@given(minutes, st.sets(st.integers(0, 59).map(at)), st.integers(0, 59))
def test_sums_of_parts_are_the_sum(counts: dict[int, tuple[int, int]], alive: set[int], cut: int) -> None:
    life = Life(alive=alive)
    parts = summed(counts, life, at(0), at(cut)) + summed(counts, life, at(cut), at(60))
    whole = summed(counts, life, at(0), at(60))
    assert parts == whole
    assert 0 <= whole.lost <= whole.known * MILLION and whole.down <= whole.known <= 60
    found = uptime(whole)
    assert (found is None) == (whole.known == 0)
    if found is not None:
        assert 0 <= found <= 100 and (found < 100 or whole.lost == 0)

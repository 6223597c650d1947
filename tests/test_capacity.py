"""Amounts of machines: sums, what is missing, what fits."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from antiphon.capacity import NOTHING, Capacity

AMOUNTS = st.builds(
    Capacity, cpus=st.integers(0, 9), memory=st.integers(0, 9), gpus=st.integers(0, 9)
)  # fmt: skip


@given(AMOUNTS, AMOUNTS)
def test_what_is_added_is_taken_away_again(one: Capacity, other: Capacity) -> None:
    assert one + other - other == one
    assert one.least(other) == other.least(one)


@given(AMOUNTS, AMOUNTS)
def test_what_fits_lacks_nothing(free: Capacity, needs: Capacity) -> None:
    assert needs.fits(free) == (free.lacks(needs) == NOTHING)
    assert needs.fits(free + needs)
    assert needs.fits(free + free.lacks(needs))


def test_what_is_over_committed_lacks_only_what_is_needed() -> None:
    lost = Capacity(cpus=-500, memory=4, gpus=0)
    assert lost.lacks(Capacity(memory=3)) == NOTHING
    assert lost.lacks(Capacity(cpus=1000, memory=5)) == Capacity(cpus=1500, memory=1)

from __future__ import annotations

import string
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from antiphon.storage.ids import base62, derived_id, following, new_id, ordered_id


def test_ids_are_unique_and_carry_their_prefix() -> None:
    made = {new_id("proj_") for _ in range(1000)}
    assert len(made) == 1000
    assert all(len(one) == 21 and one.startswith("proj_") and one[5:].isalnum() for one in made)


def test_derived_ids_depend_on_every_name_and_nothing_else() -> None:
    made = {derived_id("a_", *names) for names in [(), ("b",), ("b", "c"), ("c", "b"), ("bc",), ("b", "c")]}
    assert len(made) == 5
    assert all(len(one) == 18 and one.startswith("a_") and one[2:].isalnum() for one in made)


@given(st.integers(0, 2**256 - 1))
def test_base_62_keeps_every_number_of_256_bits_apart(number: int) -> None:
    value = 0
    for digit in base62(number, 43):
        value = value * 62 + (string.digits + string.ascii_uppercase + string.ascii_lowercase).index(digit)
    assert value == number


@given(st.floats(0, 4e9), st.floats(0, 4e9) | st.floats(-1e-5, 1e-5))
def test_ordered_ids_sort_by_time(one: float, distance: float) -> None:
    other = abs(one + distance)
    first, second = ordered_id("a-", one), ordered_id("a-", other)
    assert len(first) == len(second) == 32
    if abs(one - other) >= 2e-6:
        assert (first < second) == (one < other)


def test_ordered_ids_of_one_moment_differ() -> None:
    assert len({ordered_id("a-", 1.0) for _ in range(1000)}) == 1000


@given(st.lists(st.floats(0, 4e9) | st.sampled_from([1e9, 1e9 + 1, 1e9 - 3600]), min_size=1))
def test_what_follows_sorts_after_whatever_the_clock_says(clock: list[float]) -> None:
    made: list[str] = []
    for now in clock:
        made.append(following(ordered_id("a-", now), made[-1] if made else None))
    assert made == sorted(made) and len(set(made)) == len(made)
    assert {len(one) for one in made} == {32} and {one[:2] for one in made} == {"a-"}
    if clock == sorted(clock) and len(set(clock)) == len(clock) and min(_between(clock), default=1) > 1e-3:
        assert [int(one[2:16], 16) for one in made] == [int(now * 1_000_000) for now in clock]


def _between(clock: list[float]) -> list[float]:
    return [later - one for one, later in pairwise(clock)]

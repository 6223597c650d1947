"""Which machine of a cluster an engine is wanted on."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.runtime.ray_placing import Machine, Placed, group, wanted
from antiphon.values import NOTHING, Capacity


def cpus(number: int) -> Capacity:
    return Capacity(cpus=number * 1000)


HEAD, A, B = Machine("head", NOTHING), Machine("a", cpus(2)), Machine("b", cpus(2))


@pytest.mark.parametrize(
    ("process", "common"),
    [
        ("whisper+2", "whisper"),
        ("whisper", "whisper"),
        ("tiny.en-2022", "tiny.en-2022"),
        ("q-0.5b@dedicated_1+12", "q-0.5b@dedicated_1"),
        ("llama-3.1", "llama-3.1"),
    ],
)
def test_replicas_are_known_by_their_names(process: str, common: str) -> None:
    assert group(process) == common


def test_replicas_are_kept_apart_even_where_that_is_the_fuller_machine() -> None:
    placed = [Placed("chat", "a", cpus(1)), Placed("x", "b", cpus(1)), Placed("y", "b", cpus(1))]
    assert wanted([A, B], placed, "chat", cpus(1)) == "b"


def test_others_go_where_there_is_room_and_little_to_do() -> None:
    assert wanted([A, B], [Placed("x", "a")], "chat", cpus(1)) == "b"
    assert (
        wanted([A, B], [Placed("x", "a", cpus(2)), Placed("y", "b"), Placed("z", "b")], "chat", cpus(1))
        == "b"
    )


def test_the_head_is_for_engines_only_where_nothing_else_is() -> None:
    assert wanted([HEAD, A], [Placed("x", "a")], "chat", NOTHING) == "a"
    assert wanted([HEAD], [], "chat", NOTHING) == "head"


def test_where_one_was_lost_just_now_is_the_last_choice() -> None:
    placed = [Placed("chat", "a", cpus(1))]
    assert wanted([A, B], placed, "chat", cpus(1), {"b"}) == "a"
    assert wanted([B], placed, "chat", cpus(1), {"b"}) == "b"


def test_what_fits_nowhere_is_wanted_nowhere() -> None:
    assert wanted([HEAD, A], [], "chat", cpus(3)) is None
    assert wanted([], [], "chat", NOTHING) is None


@given(
    sizes=st.lists(st.integers(0, 8), min_size=1, max_size=6),
    starts=st.lists(st.tuples(st.sampled_from("xyz"), st.integers(0, 3)), max_size=20),
)
def test_one_after_another_a_group_is_spread_evenly(sizes: list[int], starts: list[tuple[str, int]]) -> None:
    machines = [Machine(str(i), cpus(size)) for i, size in enumerate(sizes)]
    placed: list[Placed] = []
    for name, needs in starts:
        found = wanted(machines, placed, name, cpus(needs))
        large = [m for m in machines if m.capacity.cpus >= needs * 1000]
        if found is None:
            assert not large
            continue
        assert found in {m.id for m in large}
        there = Counter(one.machine for one in placed if one.group == name)
        meant = [m for m in large if m.capacity.cpus] or large
        assert there[found] == min(there[m.id] for m in meant)
        placed.append(Placed(name, found, cpus(needs)))

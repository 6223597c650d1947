"""Which slot takes a prompt, and whether it may use what the slot holds."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.engines.slots import Slot, Slots, common

SYSTEM = tuple(range(100, 200))


def used(slots: Slots, organization: str, tokens: Sequence[int]) -> Slot:
    """The slot of a request that has ended well."""
    with slots.take(organization, tokens) as slot:
        return slot


def test_a_conversation_goes_on_where_it_was() -> None:
    slots = Slots(3)
    first = used(slots, "a", (*SYSTEM, 1))
    used(slots, "a", (7, 8, 9))
    used(slots, "b", (*SYSTEM, 1))
    assert used(slots, "a", (*SYSTEM, 1, 2, 3)) == Slot(first.id, True)


@pytest.mark.requirement("R25")
def test_what_another_organization_left_is_not_used() -> None:
    slots = Slots(1)
    assert used(slots, "a", SYSTEM) == Slot(0, False)
    assert used(slots, "b", SYSTEM) == Slot(0, False)
    assert used(slots, "b", SYSTEM) == Slot(0, True)
    assert used(slots, "a", SYSTEM) == Slot(0, False)


def test_the_longest_unused_is_given_up_first() -> None:
    slots = Slots(2)
    used(slots, "a", (1, 2))
    used(slots, "a", (3, 4))
    assert used(slots, "b", (5,)) == Slot(0, False)
    assert used(slots, "a", (3, 4, 5)) == Slot(1, True)


def test_requests_at_once_have_slots_of_their_own() -> None:
    slots = Slots(3)
    with ExitStack() as stack:
        taken = [stack.enter_context(slots.take("a", SYSTEM)) for _ in range(3)]
        assert sorted(slot.id for slot in taken) == [0, 1, 2]
        late = stack.enter_context(slots.take("a", SYSTEM))
        assert not late.reuse
    with ExitStack() as stack:
        again = [stack.enter_context(slots.take("a", SYSTEM)) for _ in range(3)]
    assert [slot.reuse for slot in again] == [True, True, False]
    assert again[-1].id == late.id


def test_what_a_request_that_was_broken_off_left_is_not_used() -> None:
    slots = Slots(1)
    used(slots, "a", SYSTEM)
    with pytest.raises(RuntimeError), slots.take("a", SYSTEM):
        raise RuntimeError
    assert used(slots, "a", SYSTEM) == Slot(0, False)


tokens = st.lists(st.integers(0, 2), max_size=12)


@given(tokens, tokens)
def test_the_common_beginning(one: list[int], other: list[int]) -> None:
    length = common(one, other)
    assert one[:length] == other[:length]
    assert length in (len(one), len(other)) or one[length] != other[length]


@given(st.lists(st.tuples(st.sampled_from("ab"), tokens, st.booleans()), max_size=30))
def test_nobody_is_given_what_another_left(requests: list[tuple[str, list[int], bool]]) -> None:
    slots, holds = Slots(2), {}
    for organization, prompt, breaks in requests:
        try:
            with slots.take(organization, prompt) as slot:
                assert not slot.reuse or holds.get(slot.id) == organization
                holds[slot.id] = organization
                if breaks:
                    raise RuntimeError
        except RuntimeError:
            pass

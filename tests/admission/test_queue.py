"""Who is next: turns between organizations, order within one, and places that add up."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.admission.queue import COMPANY_SECONDS, Company, Queue


def drained(queue: Queue[str], capacity: int) -> list[str]:
    """The order in which everybody gets a place when each gives it back before the next."""
    order = []
    while entry := queue.next(capacity):
        order.append(entry[0])
        queue.leave(entry[0][0], entry[1])
    return order


def test_organizations_take_turns() -> None:
    queue: Queue[str] = Queue()
    for ticket in ("a1", "a2", "a3", "b1", "c1", "b2"):
        queue.add(ticket[0], ticket, 1)
    assert drained(queue, 1) == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_a_place_is_taken_until_it_is_given_back() -> None:
    queue: Queue[str] = Queue()
    for ticket in ("a1", "a2", "a3"):
        queue.add("a", ticket, 1)
    assert queue.next(2) == ("a1", 1) and queue.next(2) == ("a2", 1)
    assert queue.next(2) is None and len(queue) == 1
    queue.leave("a", 1)
    assert queue.next(2) == ("a3", 1)


def test_a_heavy_request_waits_for_all_its_places_and_is_not_overtaken() -> None:
    queue: Queue[str] = Queue()
    queue.add("a", "light", 1)
    queue.add("b", "heavy", 3)
    queue.add("c", "late", 1)
    assert queue.next(3) == ("light", 1)
    assert queue.next(3) is None, "the late one does not overtake"
    queue.leave("a", 1)
    assert queue.next(3) == ("heavy", 3)


def test_a_request_heavier_than_everything_takes_everything() -> None:
    queue: Queue[str] = Queue()
    queue.add("a", "heavy", 8)
    assert queue.next(0) is None, "nothing is ready"
    assert queue.next(2) == ("heavy", 2)
    queue.leave("a", 2)
    assert queue.running == 0


def test_those_who_give_up_are_forgotten() -> None:
    queue: Queue[str] = Queue()
    first, second = "a1", "a2"
    queue.add("a", first, 1)
    queue.add("a", second, 1)
    queue.remove("a", first)
    queue.remove("a", first)
    queue.remove("nobody", first)
    assert queue.waiting("a") == 1 and queue.waiting("b") == 0
    assert drained(queue, 1) == ["a2"]
    assert queue.next(1) is None


def taken(queue: Queue[str], capacity: int, greed: int | None) -> dict[str, int]:
    """Places by organization, once nobody gets another."""
    places: Counter[str] = Counter()
    while entry := queue.next(capacity, greed):
        places[entry[0]] += entry[1]
    return dict(places)


def test_the_greedy_leave_places_for_others() -> None:
    queue: Queue[str] = Queue()
    for _ in range(100):
        queue.add("loud", "loud", 1)
    assert taken(queue, 32, 3) == {"loud": 24}
    queue.add("late", "late", 1)
    assert taken(queue, 32, 3) == {"late": 1}
    queue.leave("late", 1)
    assert queue.next(32, 3) is None, "what the loud one has is enough"
    queue.leave("loud", 1)
    assert queue.next(32, 3) == ("loud", 1)
    for name in ("x", "y") * 50:
        queue.add(name, name, 1)
    assert taken(queue, 32, 3).keys() == {"x", "y"}
    assert taken(queue, 64, None) != {}, "without greed all places are taken"
    assert queue.running == 64


@pytest.mark.parametrize(("capacity", "most"), [(1, 1), (2, 2), (3, 3), (4, 3), (8, 6)])
def test_of_few_places_one_is_always_given(capacity: int, most: int) -> None:
    queue: Queue[str] = Queue()
    for _ in range(10):
        queue.add("a", "a", 1)
    assert taken(queue, capacity, 3) == {"a": most}


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("add"), st.sampled_from("abc"), st.integers(1, 8)),
            st.tuples(st.just("next"), st.just(""), st.integers(0, 8)),
            st.tuples(st.just("leave"), st.just(""), st.just(0)),
        )
    ),
    st.sampled_from([None, 1, 3]),
)
def test_places_always_add_up(steps: list[tuple[str, str, int]], greed: int | None) -> None:
    queue: Queue[str] = Queue()
    held: list[tuple[str, int]] = []
    added = 0
    for kind, organization, number in steps:
        if kind == "add":
            queue.add(organization, organization, number)
            added += 1
        elif kind == "next" and (entry := queue.next(number, greed)):
            held.append(entry)
            assert sum(weight for _, weight in held) <= number
        elif kind == "leave" and held:
            queue.leave(*held.pop())
            added -= 1
        assert queue.running == sum(weight for _, weight in held)
        assert len(queue) == added - len(held)


def test_who_holds_the_fewest_places_is_next() -> None:
    """Whoever asks for what takes long gets no more of the places than those who ask for what is short."""
    queue: Queue[str] = Queue()
    for name in ("loud", "loud", "loud", "loud", "loud", "late", "late"):
        queue.add(name, name, 1)
    assert [queue.next(3) for _ in range(3)] == [("loud", 1), ("late", 1), ("loud", 1)]
    queue.leave("late", 1)
    assert queue.next(3) == ("late", 1), "the loud one holds two already"
    queue.leave("loud", 1)
    assert queue.next(3) == ("loud", 1), "nobody else waits"


def test_one_that_is_alone_may_have_all() -> None:
    company = Company()
    company.see("a", 9, 1.0)
    assert company.most("a", 8, {"a": 8}) == 8


@pytest.mark.parametrize(
    ("wanted", "held", "most"),
    [
        ({"b": 1}, {}, 14),  # of eight places one is for whoever comes next
        ({"b": 5}, {}, 11),
        ({"b": 50}, {}, 8),  # half of them are its own, whatever others want
        ({"b": 5, "c": 3}, {}, 8),
        ({"b": 5, "c": 9}, {}, 6),
        ({"b": 1}, {"b": 10}, 8),
        ({"b": 1}, {"d": 4}, 11),  # whoever did not ask lately, and still holds some
        ({str(n): 1 for n in range(40)}, {}, 14),  # more than there are places
    ],
)
def test_others_are_left_what_they_lately_wanted(
    wanted: dict[str, int], held: dict[str, int], most: int
) -> None:
    company = Company()
    for organization, places in wanted.items():
        company.see(organization, places, 0.0)
    assert company.most("a", 16, held) == most


def test_what_was_wanted_long_ago_is_forgotten() -> None:
    company = Company()
    company.see("b", 5, 0.0)
    company.turn(COMPANY_SECONDS * 0.6)
    company.see("b", 1, COMPANY_SECONDS * 0.6)
    assert company.most("a", 16, {}) == 11
    company.turn(COMPANY_SECONDS * 1.2)
    assert company.most("a", 16, {}) == 14
    company.turn(COMPANY_SECONDS * 3)
    assert company.most("a", 16, {}) == 16


def test_in_company_nobody_waits_for_what_was_left_to_it() -> None:
    queue: Queue[str] = Queue()
    company = Company()
    company.see("quiet", 4, 0.0)
    for _ in range(100):
        queue.add("loud", "loud", 1)
        company.see("loud", queue.wanted("loud"), 0.0)
    places = 0
    while queue.next(16, None, company):
        places += 1
    assert places == 12
    for _ in range(4):
        queue.add("quiet", "quiet", 1)
        assert queue.next(16, None, company) == ("quiet", 1)
    assert queue.next(16, None, company) is None

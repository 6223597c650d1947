"""What is free, and when: compared with a look at every single second."""

from __future__ import annotations

import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.pools.calendar import (
    MOST,
    Conflict,
    Reservation,
    Room,
    Span,
    calendar,
    conflict,
    free,
    refused,
    room,
    times,
)
from antiphon.values import NOTHING, Capacity

TOTAL = Capacity(cpus=8000, memory=64, gpus=2)
HALF = Capacity(cpus=4000, memory=32, gpus=1)
LONG = 40
"""Seconds that random spans lie in; those without an end are looked at a little longer."""
FOREVER = LONG + 5

amounts = st.integers(0, 4)
capacities = st.builds(Capacity, cpus=amounts, memory=amounts, gpus=amounts)
ends = st.none() | st.integers(-3, LONG)
reservations = st.builds(
    Reservation, id=st.just("x"), begin=st.integers(-3, LONG), end=ends, needs=capacities
)
totals = st.builds(Capacity, cpus=st.integers(0, 9), memory=st.integers(0, 9), gpus=st.integers(0, 9))
lists = st.lists(reservations, max_size=8)


def reserved(id: str, begin: int, end: int | None, needs: Capacity = HALF) -> Reservation:
    return Reservation(id=id, begin=begin, end=end, needs=needs)


def seconds(begin: int, end: int | None) -> range:
    return range(begin, FOREVER if end is None else end)


def left(total: Capacity, taken: list[Reservation], second: int) -> tuple[int, int, int]:
    """What is free in one second, by asking every reservation."""
    there = [one.needs for one in taken if second in seconds(one.begin, one.end)]
    return (
        total.cpus - sum(needs.cpus for needs in there),
        total.memory - sum(needs.memory for needs in there),
        total.gpus - sum(needs.gpus for needs in there),
    )


def figures(capacity: Capacity) -> tuple[int, int, int]:
    return capacity.cpus, capacity.memory, capacity.gpus


def test_capacities_add_up_and_fit_or_do_not() -> None:
    assert HALF + HALF == TOTAL and TOTAL - HALF == HALF
    assert TOTAL.fits(TOTAL) and HALF.fits(TOTAL) and not TOTAL.fits(HALF)
    assert not Capacity(gpus=3).fits(TOTAL) and not Capacity(cpus=8001).fits(TOTAL)
    assert Capacity(cpus=5, memory=1).least(Capacity(cpus=2, memory=3)) == Capacity(cpus=2, memory=1)


def test_what_needs_none_of_a_kind_lacks_none_of_it() -> None:
    overdrawn = Capacity(cpus=-500, memory=1)
    assert overdrawn.lacks(Capacity(memory=1)) == NOTHING
    assert overdrawn.lacks(Capacity(cpus=100, memory=3)) == Capacity(cpus=600, memory=2)


def test_a_reservation_cannot_need_less_than_nothing() -> None:
    with pytest.raises(ValueError, match="less than nothing"):
        reserved("a", 0, 10, Capacity(cpus=1, gpus=-1))


def test_a_day_of_two_reservations() -> None:
    taken = [reserved("b", 50, 80), reserved("a", 10, 60)]
    assert calendar(TOTAL, taken, 0, 100) == [
        Span(0, 10, TOTAL),
        Span(10, 50, HALF),
        Span(50, 60, NOTHING),
        Span(60, 80, HALF),
        Span(80, 100, TOTAL),
    ]
    assert free(TOTAL, taken, 0, 100) == NOTHING
    assert free(TOTAL, taken, 60, 100) == HALF
    assert conflict(TOTAL, taken, reserved("c", 20, 90)) == Conflict(50, HALF)
    assert conflict(TOTAL, taken, reserved("c", 20, 50)) is None
    assert conflict(TOTAL, taken, reserved("c", 60, None)) is None


def test_one_that_ends_makes_room_for_one_that_begins() -> None:
    taken = [reserved("a", 0, 50, TOTAL), reserved("b", 50, None, TOTAL)]
    assert calendar(TOTAL, taken, 0, 100) == [Span(0, 100, NOTHING)]
    assert calendar(TOTAL, taken[:1], 50, None) == [Span(50, None, TOTAL)]
    assert conflict(TOTAL, taken[:1], taken[1]) is None


def test_the_future_is_open() -> None:
    taken = [reserved("a", 10, None)]
    assert calendar(TOTAL, taken, 0, None) == [Span(0, 10, TOTAL), Span(10, None, HALF)]
    assert free(TOTAL, taken, 0, None) == HALF
    assert conflict(TOTAL, taken, reserved("b", 0, None, TOTAL)) == Conflict(10, HALF)


def test_what_has_no_moments_takes_nothing_and_always_fits() -> None:
    withdrawn = reserved("a", 50, 20, TOTAL)
    assert calendar(TOTAL, [withdrawn], 0, 100) == [Span(0, 100, TOTAL)]
    assert conflict(NOTHING, [], withdrawn) is None
    assert calendar(TOTAL, [], 10, 10) == [] and free(TOTAL, [], 10, 10) == TOTAL


def test_a_resize_is_another_list() -> None:
    others, larger = [reserved("a", 0, 50)], reserved("b", 20, None, TOTAL)
    assert conflict(TOTAL, [*others, reserved("b", 20, None)], larger) == Conflict(20, TOTAL)
    assert conflict(TOTAL, others, larger) == Conflict(20, HALF)
    assert conflict(TOTAL, others, reserved("b", 50, None, TOTAL)) is None


@given(totals, lists, st.integers(-3, LONG), ends)
def test_the_calendar_is_right_in_every_second(
    total: Capacity, taken: list[Reservation], begin: int, end: int | None
) -> None:
    spans = calendar(total, taken, begin, end)
    shown = {second: figures(span.free) for span in spans for second in seconds(span.begin, span.end)}
    assert shown == {second: left(total, taken, second) for second in seconds(begin, end)}


@given(totals, lists, st.integers(-3, LONG), ends)
def test_spans_follow_each_other_and_differ(
    total: Capacity, taken: list[Reservation], begin: int, end: int | None
) -> None:
    spans = calendar(total, taken, begin, end)
    for earlier, later in zip(spans, spans[1:], strict=False):
        assert earlier.end == later.begin and earlier.free != later.free
    if end is None or begin < end:
        assert (spans[0].begin, spans[-1].end) == (begin, end)


@given(totals, lists, st.integers(-3, LONG), ends)
def test_what_is_free_is_the_least_of_every_second(
    total: Capacity, taken: list[Reservation], begin: int, end: int | None
) -> None:
    every = [left(total, taken, second) for second in seconds(begin, end)] or [figures(total)]
    assert figures(free(total, taken, begin, end)) == tuple(map(min, zip(*every, strict=True)))


@given(totals, lists, reservations)
def test_a_conflict_is_the_first_second_without_room(
    total: Capacity, taken: list[Reservation], wanted: Reservation
) -> None:
    expected = None
    for second in seconds(wanted.begin, wanted.end):
        needs, there = figures(wanted.needs), left(total, taken, second)
        missing = [
            need - have if need > have and need else 0 for need, have in zip(needs, there, strict=True)
        ]
        if any(missing):
            expected = second, tuple(missing)
            break
    found = conflict(total, taken, wanted)
    assert (found and (found.at, figures(found.lacks))) == expected


@given(totals, lists, st.integers(-3, LONG), ends)
def test_nothing_is_promised_twice(
    total: Capacity, wishes: list[Reservation], begin: int, end: int | None
) -> None:
    accepted: list[Reservation] = []
    for wish in wishes:
        if conflict(total, accepted, wish) is None:
            accepted.append(wish)
    assert min(figures(free(total, accepted, -9, None))) >= 0
    room = Reservation(id="rest", begin=begin, end=end, needs=free(total, accepted, begin, end))
    assert conflict(total, accepted, room) is None


# --- several machines ---------------------------------------------------------------------------------------

racks = st.lists(totals, max_size=3)


def failure(total: Capacity, taken: list[Reservation], wanted: Reservation) -> tuple[int, Capacity] | None:
    """The first second in which a machine has no room for one more, and what is missing."""
    for second in seconds(wanted.begin, wanted.end):
        needs, there = figures(wanted.needs), left(total, taken, second)
        missing = [max(0, need - have) if need else 0 for need, have in zip(needs, there, strict=True)]
        if any(missing):
            return second, Capacity(cpus=missing[0], memory=missing[1], gpus=missing[2])
    return None


def placed(machines: list[Capacity], taken: list[Reservation]) -> list[list[Reservation]]:
    """Each where it has room first, in order; what has room nowhere is the first machine's."""
    kept: list[list[Reservation]] = [[] for _ in machines]
    for one in taken if machines else []:
        free = [n for n, total in enumerate(machines) if failure(total, kept[n], one) is None]
        kept[min(free, default=0)].append(one)
    return kept


def test_two_halves_of_two_machines_are_no_whole() -> None:
    machines, taken = [HALF, HALF], [reserved("a", 0, 50, Capacity(cpus=1000))]
    assert refused(machines, taken, [reserved("b", 50, None, TOTAL)]) == Conflict(50, HALF)
    assert refused(machines, taken, [reserved("b", 0, None, HALF)]) is None
    assert refused(machines, taken, [reserved("b", 0, None), reserved("c", 50, None)]) is None
    assert refused(machines, taken, [reserved("b", 0, None), reserved("c", 49, None)]) == Conflict(
        49, Capacity(cpus=1000)
    )


def test_without_a_machine_there_is_room_for_nothing() -> None:
    assert refused([], [], [reserved("a", 5, None)]) == Conflict(5, HALF)
    assert refused([], [reserved("b", 0, None)], []) is None
    assert room([], [], HALF, 0, 10) == [Room(0, 10, 0)]


def test_more_than_there_is_room_for_leaves_none() -> None:
    taken = [reserved(name, 0, 100) for name in "abc"]
    assert room([TOTAL], taken, HALF, 0, None) == [Room(0, 100, 0), Room(100, None, 2)]
    assert refused([TOTAL], taken, [reserved("d", 99, None)]) == Conflict(99, HALF + HALF)


def test_a_calendar_shows_for_how_many_there_is_room() -> None:
    taken = [reserved("a", 10, 20), reserved("b", 15, 20), reserved("c", 15, 30)]
    assert room([TOTAL, HALF], taken, HALF, 0, None) == [
        Room(0, 10, 3),
        Room(10, 15, 2),
        Room(15, 20, 0),
        Room(20, 30, 2),
        Room(30, None, 3),
    ]
    assert room([TOTAL], taken, NOTHING, 0, 5) == [Room(0, 5, MOST)]
    assert room([TOTAL], taken, HALF, 5, 5) == room([TOTAL], taken, HALF, 6, 5) == []


def test_how_often_something_fits_is_what_the_scarcest_allows() -> None:
    assert times(TOTAL, HALF) == 2 and times(HALF, TOTAL) == 0
    assert times(TOTAL, Capacity(cpus=1000, gpus=1)) == 2 and times(TOTAL, Capacity(memory=1)) == 64
    assert times(Capacity(cpus=-1), Capacity(cpus=1)) == 0


@given(racks, lists, st.lists(reservations, max_size=4))
def test_it_is_refused_where_a_look_at_every_second_finds_no_room(
    machines: list[Capacity], taken: list[Reservation], wanted: list[Reservation]
) -> None:
    kept = placed(machines, taken)
    expected = None
    for one in wanted:
        failures = [failure(total, there, one) for total, there in zip(machines, kept, strict=True)]
        if None not in failures:
            found = [failed for failed in failures if failed is not None]
            longest = max((at for at, _ in found), default=one.begin)
            lacks = next((lacks for at, lacks in found if at == longest), one.needs)
            expected = Conflict(longest, lacks)
            break
        kept[failures.index(None)].append(one)
    assert refused(machines, taken, wanted) == expected


@given(racks, lists, capacities, st.integers(-3, LONG), ends)
def test_the_room_is_right_in_every_second(
    machines: list[Capacity], taken: list[Reservation], needs: Capacity, begin: int, end: int | None
) -> None:
    kept = placed(machines, taken)
    shown = {
        second: one.number
        for one in room(machines, taken, needs, begin, end)
        for second in seconds(one.begin, one.end)
    }
    expected = {}
    for second in seconds(begin, end):
        numbers = []
        for total, there in zip(machines, kept, strict=True):
            have = left(total, there, second)
            fits = [h // n for h, n in zip(have, figures(needs), strict=True) if n]
            numbers.append(max(0, min(fits, default=MOST)))
        expected[second] = sum(numbers)
    assert shown == expected


@given(racks, lists, reservations)
def test_what_is_not_refused_has_room_in_the_calendar(
    machines: list[Capacity], taken: list[Reservation], wanted: Reservation
) -> None:
    rooms = room(machines, taken, wanted.needs, wanted.begin, wanted.end)
    if refused(machines, taken, [wanted]) is None:
        assert all(one.number > 0 for one in rooms)
    elif machines:
        assert rooms, "what has no moments is never refused"


@given(racks, lists)
def test_nothing_is_sold_twice_on_any_machine(machines: list[Capacity], wishes: list[Reservation]) -> None:
    sold: list[Reservation] = []
    for wish in wishes:
        if machines and refused(machines, sold, [wish]) is None:
            sold.append(wish)
    for total, there in zip(machines, placed(machines, sold), strict=True):
        assert min(figures(free(total, there, -9, None))) >= 0


def test_it_is_only_where_it_may_be() -> None:
    machines = [TOTAL, TOTAL]
    first = msgspec.structs.replace(reserved("a", 0, None, TOTAL), within=frozenset({1}))
    assert refused(machines, [], [first]) is None
    assert refused(machines, [first], [reserved("b", 0, None)]) is None
    assert refused(machines, [first], [first]) == Conflict(0, TOTAL)
    nowhere = msgspec.structs.replace(first, within=frozenset())
    assert refused(machines, [nowhere], [first]) is None, "what is nowhere takes nothing"
    assert refused(machines, [], [nowhere]) == Conflict(0, TOTAL)
    assert room(machines, [first], HALF, 0, None) == [Room(0, None, 2)]
    assert room(machines, [], HALF, 0, None, [{0}, {1}]) == [Room(0, None, 2)]
    assert room(machines, [], HALF, 0, None, [{0, 1}]) == [Room(0, None, 4)]
    assert room(machines, [], HALF, 0, None, []) == [Room(0, None, 0)]


def test_replicas_that_are_alike_fill_one_machine_before_the_next() -> None:
    kept = [reserved("a/0", 0, None), reserved("a/1", 0, None)]
    assert refused([TOTAL, TOTAL], kept, [reserved("b", 0, None, TOTAL)]) is None
    assert refused([TOTAL, TOTAL], kept * 2, [reserved("b", 0, None)]) == Conflict(0, HALF)


def test_many_replicas_of_many_instances_take_no_minutes() -> None:
    """A hundred instances of 64 replicas each, one after another."""
    kept = [reserved(f"{n}/{r}", n, n + 1, Capacity(cpus=125)) for n in range(100) for r in range(64)]
    began = time.process_time()
    assert refused([TOTAL], kept, [reserved("x", 50, 51, Capacity(cpus=1))]) == Conflict(50, Capacity(cpus=1))
    assert time.process_time() - began < 5

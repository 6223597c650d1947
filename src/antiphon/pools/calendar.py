"""What is free, and when: capacity that is reserved from a moment on, to another one or for good.

Plain functions. Moments are unix seconds, and spans of them half-open: `end` is no part of one, and None if
it has no end. A span that ends where it begins, or earlier, has no moments: it reserves nothing, and nothing
is in its way.

`total` is what one machine has: what is free of two does not add up to room for one engine. Where there are
several, each reservation is for the first of those where it may be that has room for it all the time, in the
order in which they were made; so it stays where it is when another is made after it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import reduce
from itertools import groupby

import msgspec

from antiphon.values import NOTHING, Capacity

MOST = 1000
"""Of what needs nothing."""


class Reservation(msgspec.Struct, frozen=True, kw_only=True):
    """Capacity that is kept for one purpose. Raises `ValueError` if it needs less than nothing."""

    id: str
    begin: int
    end: int | None = None
    needs: Capacity
    within: frozenset[int] | None = None
    """The positions of the machines where it may be; None: anywhere."""

    def __post_init__(self) -> None:
        if self.needs.least(NOTHING) != NOTHING:
            raise ValueError("a reservation cannot need less than nothing")


class Span(msgspec.Struct, frozen=True):
    """What is free from `begin` until before `end`."""

    begin: int
    end: int | None
    free: Capacity


class Room(msgspec.Struct, frozen=True):
    """So many more engines of one kind would have room from `begin` until before `end`."""

    begin: int
    end: int | None
    number: int


class Conflict(msgspec.Struct, frozen=True):
    """The first moment at which something does not fit, and what is missing then."""

    at: int
    lacks: Capacity


def free(total: Capacity, reservations: Iterable[Reservation], begin: int, end: int | None) -> Capacity:
    """Of each kind the least that is free at any moment of a span: what fits into this fits all the time.

    It is `total` where the span has no moments.
    """
    return reduce(Capacity.least, (level for _, level in _levels(total, reservations, begin, end)), total)


def conflict(total: Capacity, reservations: Iterable[Reservation], wanted: Reservation) -> Conflict | None:
    """Where `wanted` does not fit beside the others first; None if it does all the time.

    One that is to be changed must not be among the others, or it is in its own way.
    """
    for moment, level in _levels(total, reservations, wanted.begin, wanted.end):
        lacks = level.lacks(wanted.needs)
        if lacks != NOTHING:
            return Conflict(moment, lacks)
    return None


def calendar(total: Capacity, reservations: Iterable[Reservation], begin: int, end: int | None) -> list[Span]:
    """What is free throughout a span, in the order of time; spans that touch differ in what is free."""
    spans: list[Span] = []
    for moment, level in _levels(total, reservations, begin, end):
        if spans and spans[-1].free == level:
            continue
        if spans:
            spans[-1] = msgspec.structs.replace(spans[-1], end=moment)
        spans.append(Span(moment, end, level))
    return spans


def refused(
    machines: Sequence[Capacity], reservations: Sequence[Reservation], wanted: Sequence[Reservation]
) -> Conflict | None:
    """Whether some machine has room for each of `wanted` beside the others; if not, where that fails.

    Of several machines that have none it is the one that has it longest.
    """
    kept = _placed(machines, reservations)
    for one in wanted:
        conflicts = {at: conflict(machines[at], kept[at], one) for at in _where(machines, one)}
        place = next((at for at, problem in conflicts.items() if problem is None), None)
        if place is None:
            found = [problem for problem in conflicts.values() if problem is not None]
            return max(found, key=lambda one: one.at, default=Conflict(one.begin, one.needs))
        kept[place].append(one)
    return None


def room(
    machines: Sequence[Capacity],
    reservations: Sequence[Reservation],
    needs: Capacity,
    begin: int,
    end: int | None,
    groups: Sequence[Collection[int]] | None = None,
) -> list[Room]:
    """How many engines with these needs have room, throughout a span; spans that touch differ in it.

    With `groups` of machines, by their positions, all are to be within one: the most of any.
    """
    if not _before(begin, end):
        return []
    kept = _placed(machines, reservations)
    levels = [calendar(total, there, begin, end) for total, there in zip(machines, kept, strict=True)]
    moments = sorted({span.begin for spans in levels for span in spans}) or [begin]
    rooms: list[Room] = []
    for moment in moments:
        fit = [times(_at(spans, moment), needs) for spans in levels]
        number = sum(fit) if groups is None else max((sum(fit[at] for at in g) for g in groups), default=0)
        if rooms and rooms[-1].number == number:
            continue
        if rooms:
            rooms[-1] = msgspec.structs.replace(rooms[-1], end=moment)
        rooms.append(Room(moment, end, number))
    return rooms


def times(free: Capacity, needs: Capacity) -> int:
    """How often something fits; what needs nothing, as often as anybody may want it."""
    kinds = ((free.cpus, needs.cpus), (free.memory, needs.memory), (free.gpus, needs.gpus))
    return max(0, min((have // need for have, need in kinds if need), default=MOST))


def _placed(machines: Sequence[Capacity], reservations: Sequence[Reservation]) -> list[list[Reservation]]:
    """The reservations of each machine. More than there is room for, as after the loss of a machine, are of
    the first where they may be."""
    kept: list[list[Reservation]] = [[] for _ in machines]
    for _, group in groupby(reservations, key=lambda one: (one.begin, one.end, one.needs, one.within)):
        alike = list(group)  # as the replicas of one instance: it is seen once how many of them fit
        where = _where(machines, alike[0])
        for at in where:
            one = alike[0]
            fit = times(free(machines[at], kept[at], one.begin, one.end), one.needs)
            kept[at] += alike[:fit]
            if not (alike := alike[fit:]):
                break
        else:
            if where:
                kept[where[0]] += alike
    return kept


def _where(machines: Sequence[Capacity], one: Reservation) -> Sequence[int]:
    """The positions of the machines where it may be."""
    everywhere = range(len(machines))
    return everywhere if one.within is None else [at for at in everywhere if at in one.within]


def _at(spans: Sequence[Span], moment: int) -> Capacity:
    return [span.free for span in spans if span.begin <= moment][-1]


def _levels(
    total: Capacity, reservations: Iterable[Reservation], begin: int, end: int | None
) -> list[tuple[int, Capacity]]:
    """What is free from each moment on at which a reservation begins or ends, the first of them `begin`."""
    if not _before(begin, end):
        return []
    changes = {begin: total}
    for one in reservations:
        first = max(begin, one.begin)
        if _before(first, one.end) and _before(first, end):
            changes[first] = changes.get(first, NOTHING) - one.needs
            if one.end is not None and _before(one.end, end):
                changes[one.end] = changes.get(one.end, NOTHING) + one.needs
    levels: list[tuple[int, Capacity]] = []
    level = NOTHING
    for moment in sorted(changes):
        level += changes[moment]
        levels.append((moment, level))
    return levels


def _before(moment: int, end: int | None) -> bool:
    return end is None or moment < end

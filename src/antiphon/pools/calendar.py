"""What is free, and when: capacity that is reserved from a moment on, to another one or for good.

Plain functions. Moments are unix seconds, and spans of them half-open: `end` is no part of one, and None if
it has no end. A span that ends where it begins, or earlier, has no moments: it reserves nothing, and nothing
is in its way.

`total` is what one machine has: what is free of two does not add up to room for one engine. Where there are
several, each reservation is for the first that has room for it all the time, in the order in which they were
made; so it stays where it is when another is made after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce

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
        conflicts = [conflict(total, there, one) for total, there in zip(machines, kept, strict=True)]
        if None not in conflicts:
            found = [one for one in conflicts if one is not None]
            return max(found, key=lambda one: one.at, default=Conflict(one.begin, one.needs))
        kept[conflicts.index(None)].append(one)
    return None


def room(
    machines: Sequence[Capacity],
    reservations: Sequence[Reservation],
    needs: Capacity,
    begin: int,
    end: int | None,
) -> list[Room]:
    """How many engines with these needs have room, throughout a span; spans that touch differ in it."""
    if not _before(begin, end):
        return []
    kept = _placed(machines, reservations)
    levels = [calendar(total, there, begin, end) for total, there in zip(machines, kept, strict=True)]
    moments = sorted({span.begin for spans in levels for span in spans}) or [begin]
    rooms: list[Room] = []
    for moment in moments:
        number = sum(times(_at(spans, moment), needs) for spans in levels)
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
    the first."""
    kept: list[list[Reservation]] = [[] for _ in machines]
    for one in reservations if machines else ():
        fits = [conflict(total, there, one) is None for total, there in zip(machines, kept, strict=True)]
        kept[fits.index(True) if True in fits else 0].append(one)
    return kept


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

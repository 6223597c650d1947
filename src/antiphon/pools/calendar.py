"""What is free, and when: capacity that is reserved from a moment on, to another one or for good.

Plain functions. Moments are unix seconds, and spans of them half-open: `end` is no part of one, and None if
it has no end. A span that ends where it begins, or earlier, has no moments: it reserves nothing, and nothing
is in its way.

`total` is what one place has: what is free of two machines does not add up to room for one engine.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

import msgspec

from antiphon.values import NOTHING, Capacity


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

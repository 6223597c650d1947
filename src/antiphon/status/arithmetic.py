"""Uptime: each minute loses the share of its requests that were not answered well. Plain, whole numbers.

A minute that counts is *known*: one with requests, or one in which no server lived. One in which a server
lived and nobody asked is not known, and neither is one of maintenance that was announced before it began.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import msgspec

MINUTE, HOUR, DAY = 60, 3600, 86_400
MILLION = 1_000_000
BUDGET_DAYS = 30

Counts = Mapping[int, tuple[int, int]]
"""Good and bad requests, by the unix second at which their minute begins."""


class Sum(msgspec.Struct, frozen=True, kw_only=True):
    """Of some minutes: how many are known, what they lost (millionths of minutes), in how many of them no
    server lived; and their requests."""

    known: int = 0
    lost: int = 0
    down: int = 0
    good: int = 0
    bad: int = 0

    def __add__(self, other: Sum) -> Sum:
        return Sum(
            known=self.known + other.known,
            lost=self.lost + other.lost,
            down=self.down + other.down,
            good=self.good + other.good,
            bad=self.bad + other.bad,
        )


NOTHING = Sum()


class Life(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the whole service: minutes in which a server lived, and the maintenance announced."""

    alive: Collection[int]
    planned: Sequence[tuple[int, int]] = ()

    def excused(self, minute: int) -> bool:
        """Whether any of the minute is maintenance."""
        return any(begin < minute + MINUTE and minute < end for begin, end in self.planned)


def losses(counts: Counts, life: Life, begin: int, end: int) -> dict[int, int]:
    """What each known minute from `begin` to before `end` lost, in millionths.

    `begin` is not before the API's first minute: nobody was promised anything earlier.
    """
    found: dict[int, int] = {}
    for minute in range(begin - begin % MINUTE, end, MINUTE):
        if life.excused(minute):
            continue
        good, bad = counts.get(minute, (0, 0))
        if good + bad:
            found[minute] = MILLION * bad // (good + bad)
        elif minute not in life.alive:
            found[minute] = MILLION
    return found


def summed(counts: Counts, life: Life, begin: int, end: int) -> Sum:
    """The minutes from `begin` to before `end`, added up."""
    lost = losses(counts, life, begin, end)
    asked = [counts[minute] for minute in lost if sum(counts.get(minute, ()))]
    return Sum(
        known=len(lost),
        lost=sum(lost.values()),
        down=len(lost) - len(asked),
        good=sum(good for good, _ in asked),
        bad=sum(bad for _, bad in asked),
    )


def uptime(found: Sum) -> float | None:
    """Percent, rounded down to thousandths: what was lost never looks like nothing. None if unknown."""
    if not found.known:
        return None
    kept = found.known * MILLION - found.lost
    return kept * 100_000 // (found.known * MILLION) / 1000


def budget(objective: float) -> int:
    """What each minute may lose at an objective in percent: millionths."""
    return round((100 - objective) * 10_000)


def budget_left(found: Sum, objective: float) -> float:
    """Percent of what 30 days may lose that is left after what they lost; below zero if it is overdrawn."""
    may = budget(objective) * BUDGET_DAYS * DAY // MINUTE
    return (may - found.lost) * 1000 // may / 10

"""Burn-rate alerts over two windows each, as Google's "The Site Reliability Workbook", chapter 5, has them.

A burn rate of 1 loses, minute by minute, exactly what the objective allows. Minutes that are not known lose
nothing: what is watched is how fast the budget is used up. Plain, whole numbers, so that what is exactly at
the objective is not over it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from antiphon.status.arithmetic import MINUTE

Severity = Literal["outage", "degraded", "slow_burn"]


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """It fires while more than `tenths` / 10 budgets are lost over both windows (minutes)."""

    severity: Severity
    tenths: int
    long: int
    short: int

    @property
    def words(self) -> str:
        return f"{self.tenths / 10:g}x over {_span(self.long)} and {_span(self.short)}"


RULES = (
    Rule(severity="outage", tenths=144, long=60, short=5),
    Rule(severity="degraded", tenths=60, long=6 * 60, short=30),
    Rule(severity="slow_burn", tenths=10, long=3 * 24 * 60, short=6 * 60),
)
LONGEST = max(rule.long for rule in RULES)
LEAST_MINUTES = 2
"""In which something was lost, in the short window: where little is asked, one failure is no alert."""

Losses = Mapping[int, int]
"""As `arithmetic.losses` gives them."""


def fires(rule: Rule, losses: Losses, budget: int, end: int) -> bool:
    """Whether it fires at `end` (unix seconds, a whole minute): its windows are the minutes before."""
    late = [losses.get(end - MINUTE * back, 0) for back in range(1, rule.short + 1)]
    if sum(lost > 0 for lost in late) < LEAST_MINUTES or 10 * sum(late) <= rule.tenths * budget * rule.short:
        return False
    return 10 * _lost(losses, rule.long, end) > rule.tenths * budget * rule.long


def firing(losses: Losses, budget: int, end: int) -> Rule | None:
    """The worst one that fires."""
    return next((rule for rule in RULES if fires(rule, losses, budget, end)), None)


def burn(losses: Losses, minutes: int, budget: int, end: int) -> float:
    """The burn rate over so many minutes before `end`."""
    return _lost(losses, minutes, end) / (budget * minutes)


def _lost(losses: Losses, minutes: int, end: int) -> int:
    begin = end - minutes * MINUTE
    return sum(lost for minute, lost in losses.items() if begin <= minute < end)


def _span(minutes: int) -> str:
    for name, size in (("d", 24 * 60), ("h", 60)):
        if minutes % size == 0:
            return f"{minutes // size} {name}"
    return f"{minutes} min"

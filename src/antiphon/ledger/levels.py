"""What an instance carries at each load, as it was measured, and which load suits best. Plain functions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

Of = Literal["first_token", "answer"]
"""What is waited for: the first token of an answer, or all of it."""
PERCENTILES = (50, 90, 95, 99)
"""Those that are kept."""
ENOUGH = 8
"""Tokens of an answer that tell its pace."""


class Percentiles(msgspec.Struct, frozen=True):
    """Of 100 requests so many waited this long at most, in seconds; None: some of them in vain."""

    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None

    def at(self, percentile: int) -> float | None:
        """One of `PERCENTILES`."""
        found: float | None = getattr(self, f"p{percentile}")
        return found


class Level(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured while each replica had as many requests at once as `load` says."""

    load: int
    answered: int
    failed: int
    seconds: float
    """For how long it was measured."""
    throughput: float
    """Tokens of prompts and answers that one replica carried in a second."""
    written: float
    """Those of answers alone."""
    prompt_tokens: float
    """Of a request, on average."""
    answer_tokens: float
    first_token: Percentiles
    answer: Percentiles

    def latency(self, of: Of, percentile: int) -> float | None:
        """In seconds; None if too many were in vain."""
        return (self.first_token if of == "first_token" else self.answer).at(percentile)


class Objective(msgspec.Struct, frozen=True, kw_only=True):
    """Of 100 requests, `percentile` are to wait `seconds` at most."""

    seconds: float
    percentile: int
    of: Of

    def met(self, level: Level) -> bool:
        latency = level.latency(self.of, self.percentile)
        return latency is not None and latency <= self.seconds


def percentiles(waits: Sequence[float]) -> Percentiles:
    """By nearest rank, so that each is a wait that there was; what was in vain is infinite."""
    ordered = sorted(waits)
    found = [ordered[math.ceil(percent * len(ordered) / 100) - 1] for percent in PERCENTILES if ordered]
    return Percentiles(*[one if math.isfinite(one) else None for one in found] or [None] * len(PERCENTILES))


def whole(first: float, seconds: float, written: int, wanted: int, pace: float) -> float:
    """How long an answer would have taken that is as long as it was wanted.

    Models end answers when they like: what is missing is counted at the pace of what came, or at `pace`,
    seconds for each further token, where that was too little to tell.
    """
    if written >= wanted:
        return seconds
    if written >= ENOUGH:
        pace = (seconds - first) / (written - 1)
    return seconds + pace * (wanted - written)


def recommended(levels: Iterable[Level], objective: Objective) -> Level | None:
    """The one that carries most within an objective, of equal ones that of the smallest load, if any does."""
    within = [level for level in levels if objective.met(level)]
    return max(within, key=lambda level: (level.throughput, -level.load), default=None)

"""What follows from a finding: thresholds for each category, and the strongest action whose threshold is met.

Plain values and functions; `thresholds.py` keeps what operators set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, get_args

import msgspec

from antiphon.wire.moderations import CATEGORIES

Action = Literal["note", "alert", "throttle", "suspend"]
Side = Literal["input", "output", "usage", "operator"]

ACTIONS: tuple[Action, ...] = get_args(Action)
"""From the mildest on. Each includes an alert from `alert` on."""
RATE, REPEATED = "usage.rate", "usage.repeated_audio"
MANUAL = "manual"
"""The category of a suspension by the operator's own hand."""
KNOWN = (*CATEGORIES, RATE, REPEATED)
"""Everything that there can be a threshold for."""


class Threshold(msgspec.Struct, frozen=True):
    """From this `score` on, for the `times`-th time within a day; no score: never."""

    score: float | None
    times: int = 1


class Found(msgspec.Struct, frozen=True):
    """A finding, and where: in what was sent or in what was answered, or in how a key is used."""

    side: Side
    category: str
    score: float
    scorer: str


Thresholds = Mapping[tuple[str, Action], Threshold]
"""By category and action."""

DEFAULTS: Thresholds = {
    **{(category, "note"): Threshold(0.5) for category in CATEGORIES},
    ("sexual/minors", "alert"): Threshold(0.7),
    (RATE, "alert"): Threshold(0.5),
    (REPEATED, "note"): Threshold(0.5),
}
"""What counts where nobody set anything: nothing is throttled or suspended by itself."""


def in_force(*layers: Thresholds) -> Thresholds:
    """The defaults, with each of `layers` laid over what is before it."""
    found: dict[tuple[str, Action], Threshold] = dict(DEFAULTS)
    for layer in layers:
        found |= layer
    return {place: one for place, one in found.items() if one.score is not None}


def decide(
    findings: Iterable[Found], thresholds: Thresholds, earlier: Callable[[str, float], int]
) -> tuple[Found, Action] | None:
    """The strongest action that a finding calls for, with that finding; None where nothing follows.

    `earlier` says how many flags there were within a day for a category, from a score on.
    """
    called = [
        (found, action)
        for found in findings
        for action in ACTIONS
        if (threshold := thresholds.get((found.category, action))) is not None
        and threshold.score is not None
        and found.score >= threshold.score
        and (threshold.times <= 1 or earlier(found.category, threshold.score) + 1 >= threshold.times)
    ]
    return max(called, key=lambda one: (ACTIONS.index(one[1]), one[0].score), default=None)


def strongest(findings: Sequence[Found]) -> list[Found]:
    """Of each side and category the one with the highest score."""
    best: dict[tuple[str, str], Found] = {}
    for one in findings:
        place = (one.side, one.category)
        if place not in best or one.score > best[place].score:
            best[place] = one
    return list(best.values())

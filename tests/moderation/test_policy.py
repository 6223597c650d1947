from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.moderation.policy import (
    ACTIONS,
    DEFAULTS,
    KNOWN,
    Found,
    Threshold,
    decide,
    in_force,
    strongest,
)
from antiphon.wire.moderations import CATEGORIES


def found(category: str, score: float, side: str = "input") -> Found:
    return Found(side, category, score, "rules")  # type: ignore[arg-type]


def none(category: str, score: float) -> int:
    return 0


def test_by_default_everything_is_noted_and_nothing_is_done() -> None:
    for category in CATEGORIES:
        decided = decide([found(category, 1.0)], DEFAULTS, none)
        assert decided is not None and decided[1] in ("note", "alert")
        assert decide([found(category, 0.49)], DEFAULTS, none) is None
    assert {action for _, action in DEFAULTS} == {"note", "alert"}


def test_the_strongest_action_counts_then_the_highest_score() -> None:
    thresholds = in_force({("hate", "suspend"): Threshold(0.6), ("violence", "alert"): Threshold(0.5)})
    findings = [found("violence", 0.99), found("hate", 0.7), found("sexual", 1.0)]
    assert decide(findings, thresholds, none) == (findings[1], "suspend")
    assert decide(findings[:1], thresholds, none) == (findings[0], "alert")
    assert decide([found("hate", 0.59)], thresholds, none) == (found("hate", 0.59), "note")


def test_a_layer_may_say_never() -> None:
    everybody = {("hate", "suspend"): Threshold(0.9)}
    own = {("hate", "suspend"): Threshold(None), ("hate", "note"): Threshold(None)}
    thresholds = in_force(everybody, own)
    assert decide([found("hate", 1.0)], thresholds, none) is None
    assert decide([found("hate", 1.0)], in_force(everybody), none) is not None


@pytest.mark.parametrize(("before", "action"), [(0, "note"), (1, "note"), (2, "throttle"), (9, "throttle")])
def test_an_action_may_need_several_times(before: int, action: str) -> None:
    thresholds = in_force({("hate", "throttle"): Threshold(0.5, times=3)})
    counts: Mapping[str, int] = {"hate": before}
    decided = decide([found("hate", 0.8)], thresholds, lambda category, score: counts.get(category, 0))
    assert decided is not None and decided[1] == action


def test_of_each_side_and_category_the_highest_is_kept() -> None:
    findings = [found("hate", 0.3), found("hate", 0.8), found("hate", 0.5, "output"), found("sexual", 0.1)]
    assert strongest(findings) == [findings[1], findings[2], findings[3]]


SHARES = st.floats(0, 1)


@given(
    st.lists(st.builds(found, st.sampled_from(KNOWN), SHARES), max_size=8),
    st.dictionaries(
        st.tuples(st.sampled_from(KNOWN), st.sampled_from(ACTIONS)),
        st.builds(Threshold, st.none() | SHARES, st.integers(1, 5)),
        max_size=12,
    ),
    st.integers(0, 6),
)
def test_what_is_decided_meets_its_threshold_and_nothing_stronger_does(findings, layer, before) -> None:  # type: ignore[no-untyped-def]
    thresholds = in_force(layer)

    def meets(one: Found, action: str) -> bool:
        threshold = thresholds.get((one.category, action))  # type: ignore[call-overload]
        return threshold is not None and one.score >= threshold.score and before + 1 >= threshold.times

    decided = decide(findings, thresholds, lambda category, score: before)
    called = {action for one in findings for action in ACTIONS if meets(one, action)}
    assert (decided is None) == (not called)
    if decided is not None:
        assert decided[1] == max(called, key=ACTIONS.index) and meets(*decided)

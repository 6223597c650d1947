"""Who is given up: only who stood still while we were looking."""

from __future__ import annotations

import pytest

from antiphon.ledger.watch import PATIENCE_SECONDS, Watch

STEP = 2.0


def watched(watch: Watch, beats: dict[str, int], start: float, seconds: float) -> dict[str, int]:
    """Who is given up, looking every two seconds at beats that stand still, until `seconds` have gone by."""
    found: dict[str, int] = {}
    steps = int(seconds / STEP)
    for step in range(steps + 1):
        found = watch.see(beats, start + step * STEP)
    return found


def test_a_beat_that_stands_still_is_given_up_in_the_end() -> None:
    watch = Watch()
    assert watched(watch, {"a": 7}, 100, PATIENCE_SECONDS - 1) == {}
    assert watch.see({"a": 7}, 100 + PATIENCE_SECONDS) == {"a": 7}


def test_a_beat_that_moves_is_not() -> None:
    watch = Watch()
    for second in range(0, 60, 2):
        assert watch.see({"a": second}, 100.0 + second) == {}


def test_a_new_epoch_has_all_its_patience() -> None:
    watch = Watch()
    watched(watch, {}, 100, 60)
    assert watch.see({"a": 1}, 162) == {}


def test_missing_a_beat_of_our_own_begins_anew() -> None:
    watch = Watch()
    watched(watch, {"a": 7}, 100, 14)
    watch.miss()
    assert watched(watch, {"a": 7}, 116, 14) == {}
    assert watch.see({"a": 7}, 131) == {"a": 7}


@pytest.mark.fault("a machine stands still, and its processes with it")
def test_having_slept_begins_anew() -> None:
    watch = Watch()
    watched(watch, {"a": 7}, 100, 8)
    assert watch.see({"a": 7}, 1_000) == {}, "nobody can tell whether the other slept as well"
    assert watched(watch, {"a": 7}, 1_002, 14) == {"a": 7}

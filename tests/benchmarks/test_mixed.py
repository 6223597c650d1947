"""The sums of the soak: slopes with their bounds, and what was left behind."""

from __future__ import annotations

import random
from typing import Any

import pytest
from benchmarks.mixed import KINDS, Case, Left, Soak, bars, hourly, slope, wrong

BEFORE = Left(descriptors=90, connections=10, tasks=30, files=0, processes=4)


def soak(grows: float, **given: Any) -> Soak:
    chance = random.Random(1)
    samples = [(n, round(10**8 + grows * n + chance.gauss(0, 20_000)), 10**9) for n in range(0, 7200, 100)]
    told: dict[str, Any] = {
        "before": BEFORE,
        "after": BEFORE,
        "ends": {"200": 6000, "left": 1200},
        "seconds": 720.0,
    }
    return Soak(**told | given, samples=samples)


def test_the_slope_is_that_of_the_line_and_its_bound_lies_above() -> None:
    line = slope([(n, 50.0 * n + 7) for n in range(48)])
    assert line.bytes == pytest.approx(50) and line.most == pytest.approx(50)
    chance = random.Random(2)
    noisy = slope([(n, 50.0 * n + chance.gauss(0, 100)) for n in range(480)])
    assert noisy.bytes < noisy.most and noisy.bytes == pytest.approx(50, abs=1)
    with pytest.raises(ValueError, match="too few"):
        slope([(n, 1.0) for n in range(20)])


def test_an_interval_holds_the_true_slope_nineteen_times_of_twenty() -> None:
    chance = random.Random(3)
    above = sum(slope([(n, chance.gauss(0, 1)) for n in range(120)]).most > 0 for _ in range(400))
    assert above / 400 == pytest.approx(0.975, abs=0.03)


def test_growth_is_told_by_request_and_by_hour() -> None:
    steady, growing = soak(0), soak(200)
    assert bars(steady)[0].met and not bars(growing)[0].met
    # Ten requests a second: 200 bytes each are 7 MiB an hour.
    assert hourly(growing) == pytest.approx(200 * 36_000 / 2**20, rel=0.2)


def test_what_is_left_behind_is_told_and_what_is_less_is_fine() -> None:
    leaking = soak(0, after=Left(descriptors=93, connections=8, tasks=30, files=1, processes=4))
    [_, left, _] = bars(leaking)
    assert not left.met and left.measured == "3 descriptors, 1 files"
    assert bars(soak(0))[1].met


def test_an_end_that_is_neither_a_status_nor_a_leaving_is_wrong() -> None:
    broken = soak(0, ends={"200": 5, "429": 1, "left": 2, "chat: 500": 1, "chat, streamed: unmarked end": 2})
    assert wrong(broken) == {"chat: 500": 1, "chat, streamed: unmarked end": 2}
    assert not bars(broken)[2].met


def test_cases_follow_from_their_numbers_and_are_of_every_kind() -> None:
    first, again = ([Case(n, b"quiet", b"spoken" * 99) for n in range(300)] for _ in range(2))
    assert [(one.kind, one.leaves) for one in first] == [(one.kind, one.leaves) for one in again]
    assert {one.kind for one in first} == set(KINDS)
    assert 30 < sum(one.leaves is not None for one in first) < 90

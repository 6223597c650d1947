"""Burn-rate alerts on series made by hand, and what holds for any."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.status.alerts import LONGEST, RULES, Rule, burn, fires, firing
from antiphon.status.arithmetic import MILLION, MINUTE, budget

FAST, MEDIUM, SLOW = RULES
T = 1_800_000_000 - 1_800_000_000 % MINUTE
BUDGET = budget(99.9)


def series(*parts: tuple[int, float]) -> tuple[dict[int, int], int]:
    """Minutes with their losses as (number, share), in order, and the moment after the last."""
    found: dict[int, int] = {}
    for number, share in parts:
        for _ in range(number):
            found[T + len(found) * MINUTE] = int(share * MILLION)
    return found, T + len(found) * MINUTE


def first(rule: Rule, share: float, least: int = 0) -> int | None:
    """After how many minutes of such losses, following good days, it fires; None: however long they last."""
    always, end = series((rule.long + 1, share))
    if not fires(rule, always, BUDGET, end):
        return None
    for minutes in range(least, rule.long + 1):
        losses, end = series((minutes, share))
        if fires(rule, losses, BUDGET, end):
            return minutes
    return None


def test_the_rules_are_those_of_the_workbook() -> None:
    assert [(rule.tenths, rule.long, rule.short) for rule in RULES] == [
        (144, 60, 5),
        (60, 360, 30),
        (10, 4320, 360),
    ]
    assert FAST.words == "14.4x over 1 h and 5 min" and SLOW.words == "1x over 3 d and 6 h"


@pytest.mark.parametrize(
    ("share", "fast", "medium", "slow"),
    [
        # By hand: 14.4 x 0.1 % of 60 minutes are 0.864 minutes, 6 x of 360 are 2.16, 1 x of 4320 are 4.32.
        (1.0, 2, 3, 5),  # never after one minute alone
        (0.5, 2, 5, 9),
        (0.1, 9, 22, 44),
        (0.02, 44, 109, 217),
        (0.0144, None, 151, 301),
        (0.006, None, None, 721),
        (0.001, None, None, None),  # exactly what the objective allows
    ],
)
def test_after_how_many_minutes_it_fires(
    share: float, fast: int | None, medium: int | None, slow: int | None
) -> None:
    assert [first(FAST, share), first(MEDIUM, share)] == [fast, medium]
    assert first(SLOW, share, least=0 if slow is None or slow < 500 else 700) == slow


def test_an_outage_of_ten_minutes_recovers() -> None:
    losses, end = series((60, 0), (10, 1.0), (4320, 0))
    stop = T + 70 * MINUTE

    def state(minutes: int) -> str:
        rule = firing(losses, BUDGET, stop + minutes * MINUTE)
        return rule.severity if rule else ""

    assert state(0) == "outage"
    assert state(3) == "outage" and state(4) == "degraded"  # two lost minutes are in the five no more
    assert state(28) == "degraded" and state(29) == "slow_burn"
    assert state(358) == "slow_burn" and state(359) == ""
    assert end > stop


def test_one_failure_where_little_is_asked_is_no_alert() -> None:
    losses, end = series((59, 0), (1, 1.0))
    assert burn(losses, 60, BUDGET, end) == pytest.approx(16.7, abs=0.1)
    assert firing(losses, BUDGET, end) is None
    losses, end = series((57, 0), (1, 1.0), (1, 0), (1, 1.0))
    assert firing(losses, BUDGET, end) == FAST


def test_minutes_that_are_not_known_lose_nothing() -> None:
    losses, end = series((4320, 0.0011))
    assert fires(SLOW, losses, BUDGET, end)
    half = {minute: lost for number, (minute, lost) in enumerate(losses.items()) if number % 2}
    assert not fires(SLOW, half, BUDGET, end)


shares = st.integers(0, 1000)


@settings(max_examples=50, deadline=None)
@given(st.lists(shares, min_size=1, max_size=200), st.integers(50, 5000))
def test_nothing_fires_within_the_objective(lost: list[int], allowed: int) -> None:
    losses = {T + n * MINUTE: part * allowed // 1000 for n, part in enumerate(lost)}
    assert firing(losses, allowed, T + len(lost) * MINUTE) is None


@settings(max_examples=50, deadline=None)
@given(st.floats(0.0145, 1.0), st.floats(50, 99.9))
def test_an_outage_is_noticed_in_time(share: float, objective: float) -> None:
    allowed = budget(objective)
    rate = share * MILLION / allowed  # the burn rate while it lasts
    expected = 14.4 * 60 / rate
    losses, end = series((int(max(2, math.floor(expected) + 2)), share))
    found = fires(FAST, losses, allowed, end)
    assert found or rate <= 14.5


@settings(max_examples=50, deadline=None)
@given(st.lists(shares.map(lambda n: n * 1000), max_size=300))
def test_whatever_happened_everything_recovers(lost: list[int]) -> None:
    losses = {T + n * MINUTE: part for n, part in enumerate(lost)}
    assert firing(losses, BUDGET, T + (len(lost) + SLOW.short) * MINUTE) is None
    assert firing(losses, BUDGET, T + (len(lost) + LONGEST) * MINUTE) is None


@settings(max_examples=50, deadline=None)
@given(st.lists(shares.map(lambda n: n * 1000), min_size=2, max_size=100), st.data())
def test_more_losses_never_silence_an_alert(lost: list[int], data: st.DataObject) -> None:
    end = T + len(lost) * MINUTE
    losses = {T + n * MINUTE: part for n, part in enumerate(lost)}
    which = data.draw(st.integers(0, len(lost) - 1))
    worse = losses | {T + which * MINUTE: MILLION}
    for rule in RULES:
        assert not fires(rule, losses, BUDGET, end) or fires(rule, worse, BUDGET, end)

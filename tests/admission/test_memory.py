"""Counts in memory: by two clocks, one of which may jump, and bounded."""

from __future__ import annotations

import pytest

from antiphon.admission.counters import Ask, Decision
from antiphon.admission.limits import Demand, Limits
from antiphon.admission.memory import Memory

NOON = 1_800_000_000 // 86_400 * 86_400 + 43_200.0


class House:
    """A memory whose clocks stand still until moved."""

    def __init__(self, processes: int = 1) -> None:
        self.now, self.wall = 100.0, NOON
        self.memory = Memory(processes, monotonic=lambda: self.now, clock=lambda: self.wall)

    async def ask(self, limits: Limits, key: str = "p/m") -> Decision:
        return await self.memory.ask(Ask(key=key, limits=limits, demand=Demand()))


async def test_a_minute_holds_exactly_its_limit() -> None:
    house, limits = House(), Limits(requests_per_minute=60)
    answers = [await house.ask(limits) for _ in range(61)]
    assert [a.standing[0].remaining for a in answers] == [*range(59, -1, -1), 0]
    assert [a.taken for a in answers] == [True] * 60 + [False]
    house.now += 0.25
    assert (await house.ask(limits)).standing[0].wait == 0.75
    house.now += 0.75
    answer = await house.ask(limits)
    assert answer.taken and answer.standing[0].reset == 60.0


@pytest.mark.fault("the wall clock jumps by an hour")
@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
async def test_the_wall_clock_changes_no_rate(jump: float) -> None:
    house, limits = House(), Limits(requests_per_minute=2)
    await house.ask(limits)
    await house.ask(limits)
    house.wall += jump
    refused = await house.ask(limits)
    assert not refused.taken and refused.standing[0].wait == 30.0
    house.now += 30.0
    assert (await house.ask(limits)).taken


@pytest.mark.fault("the wall clock saws by a second")
async def test_a_wall_clock_that_saws_gives_nothing_away_and_takes_nothing() -> None:
    house, limits, taken = House(), Limits(requests_per_minute=600), 0
    for step in range(12_000):  # ten minutes, asked twice as often as is allowed
        house.now += 0.05
        house.wall += 0.05 + (1.0 if step % 2 else -1.0)
        taken += (await house.ask(limits)).taken
    assert taken == pytest.approx(600 + 6000, rel=0.01)


async def test_a_day_is_one_of_utc() -> None:
    house, limits = House(), Limits(requests_per_day=1)
    assert (await house.ask(limits)).taken
    refused = await house.ask(limits)
    assert refused.standing[0].wait == refused.standing[0].reset == 43_200.0
    house.wall += 43_199.0
    assert not (await house.ask(limits)).taken
    house.wall += 1.0
    assert (await house.ask(limits)).taken
    house.wall -= 1.0
    assert not (await house.ask(limits)).taken, "a clock that saws at midnight gives nothing away"


async def test_a_limit_that_changes_keeps_what_was_taken() -> None:
    house = House()
    for _ in range(5):
        await house.ask(Limits(requests_per_minute=10))
    assert not (await house.ask(Limits(requests_per_minute=5))).taken
    assert (await house.ask(Limits(requests_per_minute=6))).standing[0].remaining == 0


async def test_one_of_several_processes_has_its_share() -> None:
    house, limits = House(processes=4), Limits(requests_per_minute=8)
    assert [(await house.ask(limits)).taken for _ in range(3)] == [True, True, False]


async def test_the_longest_unused_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("antiphon.admission.memory.MOST_KEYS", 2)
    house, limits = House(), Limits(requests_per_minute=1)
    for key in "abc":
        assert (await house.ask(limits, key=key)).taken
    assert (await house.ask(limits, key="a")).taken, "it starts anew"
    assert not (await house.ask(limits, key="c")).taken

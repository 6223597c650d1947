"""Loads measured against askers whose pace is known: what is counted, and what is not."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from antiphon.cli import sweep as sweeping
from antiphon.cli.output import CommandFailed
from antiphon.cli.sweep import Answered, Sweep
from antiphon.ledger.workload import Shape

MIX = (Shape(10, 5), Shape(20, 7))
PACE = 0.05


class Paced:
    """Answers after `PACE` seconds for each that is asked at once; the requests `fails` fail, by number."""

    def __init__(self, *fails: int, one_at_a_time: bool = False, longest: int = 99) -> None:
        self.asked: list[Shape] = []
        self.running = self.most = self.cancelled = 0
        self._fails = fails
        self._longest = longest
        self._line = asyncio.Lock() if one_at_a_time else None

    async def __call__(self, shape: Shape) -> Answered:
        number = len(self.asked)
        self.asked.append(shape)
        self.running += 1
        self.most = max(self.most, self.running)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        try:
            if number in self._fails:
                raise CommandFailed("as asked")
            if self._line:
                async with self._line:
                    await asyncio.sleep(PACE)
            else:
                await asyncio.sleep(PACE)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1
        took = loop.time() - begun
        came = min(shape.answer, self._longest)
        return Answered(
            first=took / 2,
            seconds=took,
            prompt_tokens=shape.prompt,
            answer_tokens=came,
            wanted=shape.answer,
        )


def swept(ask: Paced, *loads: int, requests: int = 8, seconds: float = 30.0, replicas: int = 1) -> Sweep:
    sweep = Sweep(ask, MIX, requests=requests, seconds=seconds)
    asyncio.run(sweep.run(loads, replicas))
    return sweep


def test_as_many_run_at_once_as_the_load_says() -> None:
    ask = Paced()
    [level] = swept(ask, 4).levels
    assert (ask.most, ask.running) == (4, 0)
    assert (level.load, level.answered, level.failed) == (4, 8, 0)
    # Each client was answered once before, and all went on until the last that is counted was answered.
    assert len(ask.asked) >= 4 + 8
    assert (level.prompt_tokens, level.answer_tokens) == (15.0, 6.0)
    assert level.answer.p50 is not None and PACE <= level.answer.p50 < 3 * PACE
    # 8 answers of 6 tokens on average, and prompts of 15, in two turns.
    assert 0.3 * 84 / PACE < level.throughput <= 84 / PACE
    assert level.throughput == pytest.approx(level.written * 21 / 6, rel=0.2)


def test_more_at_once_is_more_in_all_where_it_costs_nothing() -> None:
    one, four = swept(Paced(), 1, 4).levels
    assert 2 * one.throughput < four.throughput


def test_more_at_once_only_waits_where_one_is_served_at_a_time() -> None:
    one, four = swept(Paced(one_at_a_time=True), 1, 4).levels
    assert four.throughput < 1.5 * one.throughput
    assert one.answer.p50 is not None and four.answer.p50 is not None
    assert four.answer.p50 > 2 * one.answer.p50


def test_the_load_is_of_each_replica() -> None:
    ask = Paced()
    [level] = swept(ask, 2, replicas=3).levels
    assert ask.most == 6 and (level.load, level.answered) == (2, 12), "each client has its equal part"


@pytest.mark.parametrize(("longest", "times"), [(99, 1.0), (3, (5 - 3) / (3 - 1) / 2 + 1), (1, 1.0)])
def test_answers_that_ended_early_are_counted_on(longest: int, times: float) -> None:
    """Half of the time is until the first token, the other half is that of the others."""
    [level] = swept(Paced(longest=longest), 1).levels
    assert level.answer_tokens == min(6.0, longest) and level.answer.p50 is not None
    assert level.answer.p50 == pytest.approx(times * PACE, rel=0.3)


def test_all_loads_are_asked_the_same() -> None:
    ask = Paced()
    sweep = Sweep(ask, MIX, requests=6, seconds=30)
    asyncio.run(sweep.run((1,), 1))
    assert Counter(ask.asked[1:7]) == Counter(MIX * 3)


def test_what_failed_was_in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "PAUSE_SECONDS", 0.01)
    [level] = swept(Paced(3, 4), 1, requests=10).levels
    assert (level.answered, level.failed) == (8, 2)
    assert level.answer.p50 is not None and level.answer.p90 is None and level.first_token.p99 is None


def test_if_the_first_request_fails_nothing_more_is_asked() -> None:
    ask = Paced(0)
    with pytest.raises(CommandFailed, match="as asked"):
        swept(ask, 1, 2)
    assert len(ask.asked) == 1


def test_a_load_ends_in_time() -> None:
    ask = Paced()
    [level] = swept(ask, 1, requests=10**6, seconds=10 * PACE).levels
    assert 1 <= level.answered < 10 and level.throughput > 0 and ask.running == 0


def test_what_has_begun_in_time_is_waited_for() -> None:
    """Short answers alone would make a load look better than it is."""
    ask = Paced(one_at_a_time=True)
    [level] = swept(ask, 4, requests=400, seconds=10 * PACE).levels
    assert level.answered >= 4 and level.failed == 0 and level.answer.p99 is not None
    assert level.answer.p50 is not None and level.answer.p50 > 3 * PACE


def test_what_does_not_end_as_long_again_was_in_vain() -> None:
    class Slower(Paced):
        async def __call__(self, shape: Shape) -> Answered:
            if len(self.asked) > 3:
                await asyncio.sleep(60)
            return await super().__call__(shape)

    [level] = swept(Slower(), 1, requests=9, seconds=8 * PACE).levels
    assert (level.answered, level.failed, level.answer.p99) == (3, 1, None)


def test_where_nothing_is_answered_in_time_it_ends() -> None:
    [level] = swept(Paced(), 2, 4, seconds=PACE / 2).levels
    assert (level.answered, level.throughput, level.answer.p99) == (0, 0.0, None)


async def test_what_was_measured_stays_if_the_rest_is_broken_off() -> None:
    ask = Paced()
    sweep = Sweep(ask, MIX, requests=1, seconds=30)
    told: list[int] = []
    sweep.changed = lambda: told.append(sweep.done)
    task = asyncio.create_task(sweep.run((1, 2), 1))
    while len(sweep.levels) < 1:
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [level.load for level in sweep.levels] == [1] and told == [1] and ask.running == 0

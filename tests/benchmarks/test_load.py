"""Fairness and overload hold roughly, in process, on a machine that may be busy; and the sums of both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from benchmarks.fairness import Turn as Fair
from benchmarks.fairness import bars as fairness_bars
from benchmarks.fairness import jain
from benchmarks.load import Asked, asking, offered, p99, refused, served
from benchmarks.overload import bars as overload_bars
from benchmarks.overload import summed

from antiphon.values import ChatJob, Delta, Usage
from service import ScriptedEngine, Service, serving

PLACES, ANSWER_SECONDS = 8, 0.2


@dataclass
class Caller:
    key: str
    url: str


async def slow(job: ChatJob) -> AsyncGenerator[Delta | Usage, None]:
    yield Delta(0, " a", completion_tokens=1)
    await asyncio.sleep(ANSWER_SECONDS)
    yield Delta(0, " b", (), "stop", 2)
    yield Usage(prompt_tokens=3, completion_tokens=2)


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    async with serving(tmp_path, ScriptedEngine(slow), PLACES, requests_per_minute=0) as started:
        yield started


def callers(service: Service, *names: str) -> list[Caller]:
    return [Caller(f"sk-org-{name}", f"http://127.0.0.1:{service.port}/v1") for name in names]


async def test_who_asks_little_is_served_beside_who_asks_for_a_hundred_times_as_much(
    service: Service,
) -> None:
    quiet, loud = callers(service, "quiet", "loud")
    mine, theirs = await asyncio.gather(offered(quiet, 2, 2.5), offered(loud, 200, 2.5))
    assert mine and len(served(mine)) == len(mine), "nothing of it is refused"
    assert max(one.took for one in mine) < 3, "it does not stand in the other's line"
    assert refused(theirs) and all(one.retry_after for one in refused(theirs))
    assert served(theirs), "the loud one gets what is left"


async def test_those_who_all_ask_for_too_much_are_served_alike(service: Service) -> None:
    crowd = callers(service, "a", "b", "c")
    shares = await asyncio.gather(
        *(asking(one, 6, 2) for one in crowd), asking(*callers(service, "loud"), 24, 2)
    )
    assert jain([len(served(share)) for share in shares]) > 0.8


async def test_ten_times_too_much_is_refused_at_once_and_what_fits_is_answered(service: Service) -> None:
    crowd = callers(service, "a", "b")
    peak = await asyncio.gather(*(asking(one, PLACES, 1.5) for one in crowd))
    rate = 10 * PLACES / ANSWER_SECONDS / len(crowd) / 2
    found = [
        asked for part in await asyncio.gather(*(offered(one, rate, 1.5) for one in crowd)) for asked in part
    ]
    answered, turned_away = served(found), refused(found)
    assert len(answered) + len(turned_away) == len(found), "nobody is left without an answer"
    assert len(answered) > sum(len(served(part)) for part in peak) / 2
    assert turned_away and all(one.retry_after for one in turned_away)
    assert p99([one.took for one in turned_away]) < 3


def test_shares_are_even_or_not() -> None:
    assert jain([3, 3, 3]) == 1 and jain([9, 0, 0]) == pytest.approx(1 / 3) and jain([0, 0]) == 0


def test_the_worse_of_the_two_latencies_counts() -> None:
    fair = Fair(0.1, 0.14, 0.5, 0.55, 0, [10, 10, 10, 10])
    assert fair.ratio == pytest.approx(1.4)
    assert all(bar.met for bar in fairness_bars([fair]))
    unserved = Fair(0.1, 0.1, 0.5, 0.5, 1, [10, 10, 10, 10])
    greedy = Fair(0.1, 0.1, 0.5, 0.5, 0, [1, 1, 1, 30])
    slower = Fair(0.1, 0.1, 0.5, 0.8, 0, [10, 10, 10, 10])
    assert [[bar.met for bar in fairness_bars([one])] for one in (slower, greedy, unserved)] == [
        [False, True, True], [True, False, True], [True, True, False],
    ]  # fmt: skip


def test_the_sums_of_an_overload() -> None:
    answer = Asked(200, 0.1, 0.5, whole=True)
    cut = Asked(200, 0.1, 0.5, whole=False)
    quick, slow = (Asked(429, took, took, whole=False, retry_after=True) for took in (0.01, 0.03))
    bare = Asked(503, 0.01, 0.01, whole=False)
    turn = summed(10.0, [answer] * 19 + [quick, slow], 200.0, 2.0)
    assert turn.ratio == pytest.approx(0.95) and turn.refused == 2 and turn.others == turn.unadvised == 0
    assert turn.refusal_p99 == pytest.approx(0.03, rel=0.02) and all(bar.met for bar in overload_bars([turn]))
    turn = summed(10.0, [answer] * 17 + [cut, bare], 200.0, 2.0)
    assert (turn.others, turn.unadvised) == (1, 1)
    assert [bar.met for bar in overload_bars([turn])] == [False, True, False]
    with pytest.raises(ValueError, match="nothing"):
        p99([])

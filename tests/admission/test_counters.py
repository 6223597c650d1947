"""What both places of counting promise, asked of each: memory, and a real Valkey."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator

import pytest

import servers
from antiphon.admission.counters import Ask, Counters, Decision
from antiphon.admission.limits import Demand, Limits
from antiphon.admission.memory import Memory
from antiphon.admission.valkey import Valkey

PATIENT = 10.0
"""Seconds: however busy the machine is, Valkey decides."""


@pytest.fixture(params=["memory", "valkey"])
async def counters(request: pytest.FixtureRequest) -> AsyncIterator[Counters]:
    if request.param == "memory":
        yield Memory()
        return
    server: servers.ValkeyServer = request.getfixturevalue("valkey_server")
    async with Valkey(server.url, Memory(processes=10), seconds=PATIENT) as counters:
        yield counters


async def ask(counters: Counters, limits: Limits, **options: object) -> Decision:
    demand = Demand(**{name: options.pop(name) for name in Demand.__struct_fields__ if name in options})  # type: ignore[arg-type]
    question: dict[str, object] = {"key": "p/m", "place": "", "binding": True} | options
    decision = await counters.ask(Ask(limits=limits, demand=demand, **question))  # type: ignore[arg-type]
    assert decision.by is counters, "nothing was decided elsewhere"
    return decision


async def test_a_limit_is_held_exactly(counters: Counters) -> None:
    limits = Limits(requests_per_day=3, tokens_per_day=100)
    answers = [await ask(counters, limits, tokens=10) for _ in range(4)]
    assert [a.taken for a in answers] == [True, True, True, False]
    assert [a.standing[0].remaining for a in answers] == [2, 1, 0, 0]
    assert [a.standing[1].used for a in answers] == [10, 20, 30, 30], "all or nothing"
    full = answers[-1].standing
    assert 0 < full[0].wait <= 86_400 and full[1].wait == 0


async def test_a_minute_flows_off(counters: Counters) -> None:
    limits = Limits(tokens_per_minute=600_000)
    await ask(counters, limits, tokens=600_000)
    quota = (await ask(counters, limits, tokens=300_000)).standing[0]
    assert 29 < quota.wait <= 30 and 590_000 < quota.used < 600_000
    assert (await ask(counters, limits, tokens=600_001)).standing[0].wait == float("inf")
    assert (await ask(counters, limits)).taken, "who wants no tokens is not held up"


async def test_corrections_count_whatever_the_limit(counters: Counters) -> None:
    limits = Limits(tokens_per_day=100)
    await ask(counters, limits, tokens=60)
    more = await ask(counters, limits, requests=0, tokens=70, binding=False)
    assert more.taken and (more.standing[0].used, more.standing[0].remaining) == (130, 0)
    assert not (await ask(counters, limits, tokens=1)).taken
    assert (await ask(counters, limits, tokens=-90, binding=False)).standing[0].used == 40
    assert (await ask(counters, limits, tokens=-90, binding=False)).standing[0].used == 0


async def test_projects_and_models_do_not_share(counters: Counters) -> None:
    limits = Limits(requests_per_minute=1, concurrent_requests=1)
    assert (await ask(counters, limits, key="a/m", place="1")).taken
    assert (await ask(counters, limits, key="b/m", place="2")).taken
    assert (await ask(counters, limits, key="a/n", place="3")).taken
    assert not (await ask(counters, limits, key="a/m")).taken


async def test_requests_at_once_are_exact(counters: Counters) -> None:
    limits = Limits(concurrent_requests=2)
    for place in ("1", "2"):
        assert (await ask(counters, limits, place=place)).taken
    refused = await ask(counters, limits, place="3")
    assert refused.crowded and not refused.taken and refused.limits.concurrent_requests == 2
    await counters.leave("p/m", "3")
    assert (await ask(counters, limits, place="4")).crowded, "the refused one had no place to give back"
    await counters.leave("p/m", "1")
    await counters.leave("p/m", "1")
    assert (await ask(counters, limits, place="5")).taken
    assert (await ask(counters, limits, place="6")).crowded


async def test_a_request_that_is_refused_for_its_rate_holds_no_place(counters: Counters) -> None:
    limits = Limits(requests_per_minute=1, concurrent_requests=2)
    assert (await ask(counters, limits, place="1")).taken
    refused = await ask(counters, limits, place="2")
    assert not refused.taken and not refused.crowded
    assert (await ask(counters, limits, requests=0, place="3")).taken
    crowded = await ask(counters, limits, place="4")
    assert crowded.crowded and crowded.standing[0].used > 0.9, "and one without a place takes no rate"


async def test_leaving_without_having_been_there_does_nothing(counters: Counters) -> None:
    await counters.leave("p/m", "nobody")


async def test_without_limits_everything_is_taken(counters: Counters) -> None:
    decision = await ask(counters, Limits(), tokens=10**9, place="1")
    assert decision.taken and decision.standing == ()


@pytest.mark.parametrize("seed", range(3))
async def test_both_decide_alike(valkey_server: servers.ValkeyServer, seed: int) -> None:
    """A random walk through questions, decided the same in both; by the day, where time does not matter."""
    choose = random.Random(seed)
    memory, places = Memory(), [("a", "0")]
    async with Valkey(valkey_server.url, Memory(), seconds=PATIENT) as valkey:
        for step in range(300):
            limits = Limits(
                requests_per_day=choose.choice([0, 40, 80]),
                tokens_per_day=choose.choice([0, 500, 2000]),
                concurrent_requests=choose.choice([0, 2, 4]),
            )
            question = Ask(
                key=(key := choose.choice("ab")),
                limits=limits,
                demand=Demand(requests=choose.choice([0, 1]), tokens=choose.randint(-100, 100)),
                place=choose.choice(["", f"{step}"]),
                binding=choose.random() < 0.8,
            )
            one, other = await memory.ask(question), await valkey.ask(question)
            assert (one.taken, one.crowded) == (other.taken, other.crowded), step
            assert [q.used for q in one.standing] == [q.used for q in other.standing], step
            places.append((key, f"{step}"))
            gone = choose.choice(places)
            for counters in (memory, valkey):
                await counters.leave(*gone)

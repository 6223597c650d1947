"""The gate: bounds that refuse at once, waits that end, places that are always given back."""

from __future__ import annotations

import asyncio
import time
from contextlib import AbstractAsyncContextManager, AsyncExitStack

import pytest

from antiphon.admission.buckets import Standing
from antiphon.admission.counters import Ask, Decision
from antiphon.admission.gate import Gate
from antiphon.admission.limits import Demand
from antiphon.admission.memory import Memory
from antiphon.admission.queue import COMPANY_SECONDS
from antiphon.admission.rates import Place
from antiphon.errors import RateLimited, Unavailable
from antiphon.settings import Settings
from antiphon.values import Caller


def caller(organization: str = "a") -> Caller:
    return Caller(
        key_id="k", project_id=f"proj-{organization}", organization_id=organization, organization=organization
    )


class Room:
    """A gate before one deployment with a number of places, and requests that hold one until released."""

    def __init__(self, capacity: int = 1, **settings: float) -> None:
        self.gate = Gate(Settings(**settings))  # type: ignore[arg-type]
        self.capacity = capacity
        self.inside: list[str] = []
        self.release = asyncio.Event()

    async def visit(self, organization: str = "a", weight: int = 1, *, own: bool = False) -> None:
        """The model that everybody has, or the organization's `own`."""
        name, rated = (f"model@{organization}", None) if own else ("model", "")
        entered = self.gate.enter(caller(organization), name, lambda: self.capacity, weight, rated_as=rated)
        async with entered:
            self.inside.append(organization)
            await self.release.wait()

    def start(self, organization: str = "a", weight: int = 1, *, own: bool = False) -> asyncio.Task[None]:
        return asyncio.create_task(self.visit(organization, weight, own=own))


async def settle() -> None:
    """Let every task run until it waits."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_one_place_serves_one_at_a_time() -> None:
    room = Room()
    tasks = [room.start(), room.start()]
    await settle()
    assert room.inside == ["a"] and room.gate.waiting() == {"model": 1}
    room.release.set()
    await asyncio.wait_for(asyncio.gather(*tasks), 5)
    assert room.inside == ["a", "a"] and room.gate.waiting() == {"model": 0}


async def test_an_organization_may_only_wait_so_often() -> None:
    room = Room(capacity=0, queue_per_organization=2)
    tasks = [room.start() for _ in range(2)]
    await settle()
    began = time.monotonic()
    with pytest.raises(RateLimited) as refusal:
        await room.visit()
    assert time.monotonic() - began < 1
    assert refusal.value.retry_after is not None and refusal.value.retry_after >= 1
    others = room.start("b")
    await settle()
    assert room.gate.waiting() == {"model": 3}
    for task in (*tasks, others):
        task.cancel()


async def test_all_together_may_only_wait_so_often() -> None:
    room = Room(capacity=0, queue_total=2)
    tasks = [room.start(name) for name in "ab"]
    await settle()
    with pytest.raises(Unavailable) as refusal:
        await room.visit("c")
    assert refusal.value.status == 503 and refusal.value.retry_after
    assert room.gate.waiting() == {"model": 2}, "the refused one is not left in the line"
    for task in tasks:
        task.cancel()


async def test_lines_of_organizations_of_their_own_are_in_nobody_elses_way() -> None:
    room = Room(capacity=0, queue_total=2)
    tasks = [room.start(name) for name in "ab"]
    tasks += [room.start(name, own=True) for name in "ccdd"]
    await settle()
    assert room.gate.waiting() == {"model": 2, "model@c": 2, "model@d": 2}
    for organization, own in (("e", False), ("c", True)):
        with pytest.raises(Unavailable):
            await room.visit(organization, own=own)
    tasks[0].cancel()
    await settle()
    tasks.append(room.start("e"))
    await settle()
    assert room.gate.waiting()["model"] == 2
    for task in tasks:
        task.cancel()


async def test_what_is_free_is_what_nobody_holds() -> None:
    room = Room(capacity=8)
    assert room.gate.free("model", 8) == 8
    task = room.start(weight=5)
    await settle()
    assert (room.gate.free("model", 8), room.gate.free("model", 3)) == (3, -2)
    task.cancel()


async def test_a_wait_ends() -> None:
    room = Room(capacity=0, queue_seconds=0.05)
    with pytest.raises(Unavailable):
        await asyncio.wait_for(room.visit(), 5)
    assert room.gate.waiting() == {"model": 0}


async def test_who_gives_up_leaves_the_line() -> None:
    room = Room(capacity=0)
    task = room.start()
    await settle()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert room.gate.waiting() == {"model": 0}
    room.capacity = 1
    room.release.set()
    await asyncio.wait_for(room.visit(), 5)


async def test_a_place_is_given_back_after_an_error() -> None:
    room = Room()
    with pytest.raises(ZeroDivisionError):
        async with room.gate.enter(caller(), "model", lambda: 1):
            raise ZeroDivisionError
    room.release.set()
    await asyncio.wait_for(room.visit(), 5)


async def test_capacity_that_comes_later_lets_the_waiting_in() -> None:
    room = Room(capacity=0)
    tasks = [room.start(name) for name in "ab"]
    await settle()
    room.gate.pump("model")
    await settle()
    assert room.inside == []
    room.capacity = 2
    room.gate.pump("model")
    await settle()
    assert room.inside == ["a", "b"]
    room.release.set()
    await asyncio.gather(*tasks)
    room.gate.pump("a model that nobody asked for")


async def test_heavy_requests_hold_their_places() -> None:
    room = Room(capacity=4)
    tasks = [room.start("a", 4), room.start("b", 1)]
    await settle()
    assert room.inside == ["a"]
    room.release.set()
    await asyncio.gather(*tasks)
    assert room.inside == ["a", "b"]


async def test_an_organization_that_floods_does_not_hold_up_another() -> None:
    room = Room(capacity=0)
    tasks = [room.start("flood") for _ in range(10)]
    await settle()
    tasks.append(room.start("b"))
    await settle()
    room.capacity = 2
    room.gate.pump("model")
    await settle()
    assert room.inside == ["flood", "b"]
    room.release.set()
    await asyncio.gather(*tasks)


async def test_the_rate_is_counted_per_project_and_model() -> None:
    gate = Gate(Settings(requests_per_minute=1), clock=lambda: 100.0)
    shown: list[Standing] = []
    async with AsyncExitStack() as stack:

        async def enter(project: str, model: str) -> None:
            entering = gate.enter(caller(project), model, lambda: 8, show=shown.append)
            await stack.enter_async_context(entering)

        await enter("a", "model")
        await enter("b", "model")
        await enter("a", "another")
        with pytest.raises(RateLimited) as refusal:
            await enter("a", "model")
    assert refusal.value.retry_after == 60.0
    assert [(s[0].limit, s[0].remaining) for s in shown] == [(1, 0)] * 4
    assert [bool(s[0].wait) for s in shown] == [False, False, False, True]


async def test_a_request_that_no_engine_has_seen_takes_no_tokens() -> None:
    room = Room(capacity=0, queue_per_organization=1, tokens_per_minute=100)
    shown: list[Standing] = []

    def enter() -> AbstractAsyncContextManager[Place]:
        demand = Demand(tokens=40)
        return room.gate.enter(caller(), "model", lambda: room.capacity, 1, demand, shown.append)

    async def wait() -> None:
        async with enter():
            raise AssertionError("there is no place")

    task = asyncio.create_task(wait())
    await settle()
    assert remaining(shown) == 60
    with pytest.raises(RateLimited):
        await wait()
    assert remaining(shown) == 60, "the refused one gave its own back"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert remaining(shown) == 100
    room.capacity = 1
    async with enter():
        assert remaining(shown) == 60
    assert remaining(shown) == 60, "one that has run keeps what it took"


async def test_requests_at_once_are_counted_until_they_end() -> None:
    room = Room(capacity=1, concurrent_requests=2)
    running = [room.start(), room.start()]
    await settle()
    with pytest.raises(RateLimited) as refusal:
        await room.visit()
    assert "at once" in refusal.value.message and refusal.value.retry_after == 2.0
    other = room.start("b")
    await settle()
    room.release.set()
    await asyncio.wait_for(asyncio.gather(*running, other), 5)
    await asyncio.wait_for(room.visit(), 5)


def remaining(shown: list[Standing]) -> int:
    return next(quota.remaining for quota in shown[-1] if quota.meter.counts == "tokens")


def test_how_many_may_still_wait_is_told() -> None:
    room = Gate(Settings(queue_per_organization=16)).room(caller())
    assert (room.limit, room.remaining) == (16, 16)


async def test_the_advice_follows_what_requests_took() -> None:
    now = [0.0]
    gate = Gate(Settings(queue_per_organization=1, requests_per_minute=0), clock=lambda: now[0])
    async with gate.enter(caller(), "model", lambda: 1):
        now[0] = 40.0
    holding = asyncio.Event()

    async def hold() -> None:
        async with gate.enter(caller(), "model", lambda: 1):
            await holding.wait()

    tasks = [asyncio.create_task(hold()) for _ in range(2)]
    await settle()
    with pytest.raises(RateLimited) as refusal:
        async with gate.enter(caller(), "model", lambda: 1):
            pass
    assert refusal.value.retry_after == 80.0
    holding.set()
    await asyncio.gather(*tasks)


async def test_what_has_no_rates_still_waits_for_a_place() -> None:
    room = Room(requests_per_minute=1)
    entered: list[int] = []

    async def visit(number: int) -> None:
        async with room.gate.enter(caller(), "model@own", lambda: 1, rated_as=None):
            entered.append(number)
            await room.release.wait()

    tasks = [asyncio.create_task(visit(number)) for number in range(3)]
    await settle()
    assert entered == [0] and room.gate.waiting() == {"model@own": 2}
    room.release.set()
    await asyncio.wait_for(asyncio.gather(*tasks), 5)
    assert entered == [0, 1, 2]


async def test_in_company_one_place_of_eight_is_left_to_others() -> None:
    """Alone an organization may have all; once another asks, too, it finds a place without a wait."""
    now = 0.0
    gate, inside = Gate(Settings(), clock=lambda: now), list[str]()
    held = asyncio.Event()

    async def visit(organization: str) -> None:
        async with gate.enter(caller(organization), "model", lambda: 8, courteous=True):
            inside.append(organization)
            if organization != "quick":
                await held.wait()

    alone = [asyncio.create_task(visit("loud")) for _ in range(10)]
    await settle()
    assert inside == ["loud"] * 8
    held.set()
    await asyncio.gather(*alone)
    inside.clear()
    held.clear()
    await visit("quick")
    crowd = [asyncio.create_task(visit("loud")) for _ in range(10)]
    await settle()
    assert inside == ["quick", *["loud"] * 7]
    await asyncio.wait_for(visit("quick"), 1)
    now += COMPANY_SECONDS
    gate.pump("model")
    await settle()
    assert inside.count("loud") == 8, "the other is gone"
    held.set()
    await asyncio.gather(*crowd)


async def test_what_would_have_to_wait_and_may_not_is_known_beforehand() -> None:
    room = Room(capacity=1, queue_per_organization=1)
    room.gate.expect(caller(), [("model", 1)])
    holding = room.start()
    await settle()
    room.gate.expect(caller(), [("model", 1)])
    waiting = room.start()
    await settle()
    with pytest.raises(RateLimited):
        room.gate.expect(caller(), [("model", 1)])
    room.gate.expect(caller("b"), [("model", 1)])
    room.gate.expect(caller(), [("model", 1), ("other", 1)])
    room.gate.expect(caller(), [])
    for task in (holding, waiting):
        task.cancel()
    await asyncio.gather(holding, waiting, return_exceptions=True)


async def test_who_may_not_wait_is_refused_before_anything_is_counted() -> None:
    asked: list[Ask] = []

    class Counting(Memory):
        async def ask(self, ask: Ask) -> Decision:
            asked.append(ask)
            return await super().ask(ask)

    gate = Gate(Settings(queue_per_organization=1), counters=Counting())
    held = asyncio.Event()

    async def visit() -> None:
        async with gate.enter(caller(), "model", lambda: 1):
            await held.wait()

    tasks = [asyncio.create_task(visit()) for _ in range(2)]
    await settle()
    before = len(asked)
    with pytest.raises(RateLimited, match="waiting"):
        await visit()
    assert len(asked) == before == 2
    held.set()
    await asyncio.gather(*tasks)

"""The gate: bounds that refuse at once, waits that end, places that are always given back."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack

import pytest

from antiphon.admission.gate import Gate
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

    async def visit(self, organization: str = "a", weight: int = 1) -> None:
        async with self.gate.enter(caller(organization), "model", lambda: self.capacity, weight):
            self.inside.append(organization)
            await self.release.wait()

    def start(self, organization: str = "a", weight: int = 1) -> asyncio.Task[None]:
        return asyncio.create_task(self.visit(organization, weight))


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


async def test_the_rate_is_counted_per_project() -> None:
    gate = Gate(Settings(requests_per_minute=1), clock=lambda: 100.0)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(gate.enter(caller("a"), "model", lambda: 8))
        await stack.enter_async_context(gate.enter(caller("b"), "model", lambda: 8))
        with pytest.raises(RateLimited) as refusal:
            await stack.enter_async_context(gate.enter(caller("a"), "model", lambda: 8))
        assert refusal.value.retry_after == 60.0
        rate, waiting = gate.standing(caller("a"))
    assert rate is not None and (rate.limit, rate.remaining) == (1, 0)
    assert (waiting.limit, waiting.remaining) == (16, 16)


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

from __future__ import annotations

import asyncio
from random import Random

from antiphon.workers.speech.turns import Turns


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class Work:
    """Pieces of work, each done when it is told to be."""

    def __init__(self, at_once: int) -> None:
        self.turns = Turns(at_once)
        self.order: list[str] = []
        self.running: list[asyncio.Event] = []

    async def piece(self, organization: str) -> None:
        async with self.turns.turn(organization):
            self.order.append(organization)
            end = asyncio.Event()
            self.running.append(end)
            await end.wait()

    async def begin(self, *organizations: str) -> list[asyncio.Task[None]]:
        tasks = [asyncio.create_task(self.piece(one)) for one in organizations]
        await settle()
        return tasks

    async def end_all(self) -> None:
        while self.running:
            self.running.pop(0).set()
            await settle()


async def test_so_many_work_at_once() -> None:
    work = Work(2)
    tasks = await work.begin("a", "b", "c")
    assert work.order == ["a", "b"]
    await work.end_all()
    await asyncio.gather(*tasks)
    assert work.order == ["a", "b", "c"] and work.turns._free == 2 and not work.turns._lines


async def test_organizations_take_turns_however_many_stand_in_line() -> None:
    work = Work(1)
    tasks = await work.begin(*["loud"] * 6, "quiet", "quiet", "third")
    await work.end_all()
    await asyncio.gather(*tasks)
    assert work.order == ["loud", "loud", "quiet", "third", "loud", "quiet", "loud", "loud", "loud"]


async def test_whoever_leaves_the_line_is_passed_over() -> None:
    work = Work(1)
    first, second, third = await work.begin("a", "b", "c")
    second.cancel()
    await settle()
    await work.end_all()
    await asyncio.gather(first, third)
    assert work.order == ["a", "c"] and work.turns._free == 1


async def test_a_place_that_is_given_to_somebody_who_leaves_is_not_lost() -> None:
    work = Work(1)
    first, second = await work.begin("a", "b")
    work.running.pop().set()
    await asyncio.sleep(0)  # The first one is ending, and the second has the place but has not run yet.
    second.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    assert work.turns._free == 1 and not work.turns._lines


async def test_no_place_is_ever_lost() -> None:
    chance, turns, most, running = Random(1), Turns(3), 0, 0

    async def piece(organization: str) -> None:
        nonlocal most, running
        async with turns.turn(organization):
            running += 1
            most = max(most, running)
            try:
                await asyncio.sleep(0)
            finally:
                running -= 1

    tasks = []
    for _ in range(500):
        tasks.append(asyncio.create_task(piece(chance.choice("abcd"))))
        for _ in range(chance.randrange(3)):
            await asyncio.sleep(0)
        chance.choice(tasks).cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert most == 3 and turns._free == 3 and not turns._lines

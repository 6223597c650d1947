"""Turns: at once while there is little to do, one organization after the other while there is much."""

from __future__ import annotations

import asyncio

from antiphon.admission.turnstile import EACH_ROUND, Turnstile


async def test_while_there_is_little_to_do_nobody_waits() -> None:
    turns = Turnstile()
    for _ in range(3 * EACH_ROUND):
        assert await turns.enter("a") == 0.0
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert len(turns) == 0


async def test_organizations_take_turns_and_only_some_pass_in_a_round() -> None:
    turns, passed = Turnstile(), list[str]()

    async def enter(organization: str) -> None:
        await turns.enter(organization)
        passed.append(organization)

    tasks = [asyncio.create_task(enter("loud")) for _ in range(50)]
    tasks.append(asyncio.create_task(enter("quiet")))
    await asyncio.sleep(0)
    assert passed == ["loud"] * EACH_ROUND and len(turns) == 51 - EACH_ROUND
    await asyncio.wait_for(asyncio.gather(*tasks), 5)
    assert passed.index("quiet") <= EACH_ROUND + 1, "it does not stand behind all of the loud one's"
    assert len(passed) == 51 and len(turns) == 0


async def test_the_others_of_the_loop_run_between_rounds() -> None:
    turns, seen, ended = Turnstile(), list[int](), asyncio.Event()
    tasks = [asyncio.create_task(turns.enter("loud")) for _ in range(40)]

    async def beside() -> None:
        while not ended.is_set():
            seen.append(len(turns))
            await asyncio.sleep(0)

    watching = asyncio.create_task(beside())
    await asyncio.gather(*tasks)
    ended.set()
    await watching
    falls = [before - after for before, after in zip(seen, seen[1:], strict=False) if before > after]
    assert len(falls) >= 5 and max(falls) <= EACH_ROUND


async def test_who_gives_up_is_passed_over() -> None:
    turns = Turnstile()
    tasks = [asyncio.create_task(turns.enter("a")) for _ in range(20)]
    await asyncio.sleep(0)
    for task in tasks[EACH_ROUND:-1]:
        task.cancel()
    found = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
    assert isinstance(found[-1], float) and len(turns) == 0
    assert sum(isinstance(one, asyncio.CancelledError) for one in found) == 20 - EACH_ROUND - 1


async def test_the_wait_is_told() -> None:
    now = 0.0
    turns = Turnstile(clock=lambda: now)
    tasks = [asyncio.create_task(turns.enter("a")) for _ in range(EACH_ROUND + 1)]
    await asyncio.sleep(0)
    now = 3.0
    assert (await asyncio.gather(*tasks))[-1] == 3.0

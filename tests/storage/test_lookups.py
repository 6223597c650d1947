from __future__ import annotations

import asyncio
import threading
import time

import pytest

from antiphon.storage.lookups import AT_ONCE, Lookups


class Source:
    """A slow store that counts what it was asked, and answers when it is let."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.open = asyncio.Event()
        self.open.set()
        self.problem = ZeroDivisionError()
        self.failing: set[int] = set()
        self.now = 100.0
        self.lookups = Lookups(self.find, seconds=0.5, patience=5.0, bound=3, clock=lambda: self.now)

    async def find(self, key: bytes) -> int:
        self.asked.append(key)
        answer = len(self.asked)
        await self.open.wait()
        if answer in self.failing:
            raise self.problem
        return answer


@pytest.fixture
async def source() -> Source:
    return Source()


async def turn() -> None:
    """Let every task that can run do so."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_an_answer_counts_for_its_time_and_no_longer(source: Source) -> None:
    assert await source.lookups.get(b"a") == 1
    source.now += 0.49
    assert await source.lookups.get(b"a") == 1
    source.now += 0.01
    assert await source.lookups.get(b"a") == 2


async def test_those_who_ask_at_once_share_one_question(source: Source) -> None:
    assert await asyncio.gather(*(source.lookups.get(b"a") for _ in range(100))) == [1] * 100
    assert source.asked == [b"a"]


async def test_the_time_begins_with_the_question_however_slow_the_answer(source: Source) -> None:
    source.open.clear()
    slow = asyncio.create_task(source.lookups.get(b"a"))
    await turn()
    source.now += 0.5
    later = asyncio.create_task(source.lookups.get(b"a"))
    await turn()
    source.open.set()
    assert (await slow, await later) == (1, 2)


async def test_one_who_goes_away_does_not_disturb_the_others(source: Source) -> None:
    source.open.clear()
    first, second = (asyncio.create_task(source.lookups.get(b"a")) for _ in range(2))
    await turn()
    first.cancel()
    await turn()
    assert first.cancelled()
    source.open.set()
    assert await second == 1 and source.asked == [b"a"]


async def test_a_failure_reaches_everyone_waiting_and_is_not_remembered(source: Source) -> None:
    source.failing = {1}
    results = await asyncio.gather(*(source.lookups.get(b"a") for _ in range(3)), return_exceptions=True)
    assert results == [source.problem] * 3 and len(source.asked) == 1
    assert await source.lookups.get(b"a") == 2


async def test_a_failure_does_not_take_a_newer_answer_with_it(source: Source) -> None:
    source.open.clear()
    failing = asyncio.create_task(source.lookups.get(b"a"))
    await turn()
    source.now += 0.5
    newer = asyncio.create_task(source.lookups.get(b"a"))
    await turn()
    source.failing = {1}
    source.open.set()
    with pytest.raises(ZeroDivisionError):
        await failing
    assert await newer == 2
    assert await source.lookups.get(b"a") == 2 and len(source.asked) == 2


async def test_no_more_than_the_bound_is_remembered_and_the_least_used_goes(source: Source) -> None:
    for key in (b"a", b"b", b"c", b"a", b"d"):
        await source.lookups.get(key)
    assert len(source.lookups) == 3
    await source.lookups.get(b"a")
    assert source.asked == [b"a", b"b", b"c", b"d"]
    await source.lookups.get(b"b")
    assert source.asked[-1] == b"b"


async def test_one_that_is_pushed_out_while_asked_still_answers(source: Source) -> None:
    source.open.clear()
    waiting = [asyncio.create_task(source.lookups.get(bytes([n]))) for n in range(5)]
    await turn()
    assert len(source.lookups) == 3
    source.open.set()
    assert await asyncio.gather(*waiting) == [1, 2, 3, 4, 5]


async def test_a_failure_of_one_that_was_pushed_out_is_told_too(source: Source) -> None:
    source.failing = {1, 2, 3, 4}
    source.open.clear()
    waiting = [asyncio.create_task(source.lookups.get(bytes([n]))) for n in range(4)]
    await turn()
    source.open.set()
    assert await asyncio.gather(*waiting, return_exceptions=True) == [source.problem] * 4


async def waiting(source: Source, keys: range) -> list[asyncio.Task[int]]:
    """Those who ask for these keys, each of its own, and have no answer yet."""
    source.open.clear()
    tasks = [asyncio.create_task(source.lookups.get(bytes([n]))) for n in keys]
    await turn()
    return tasks


async def test_few_questions_are_put_at_once_and_the_others_in_their_order(source: Source) -> None:
    tasks = await waiting(source, range(20))
    assert source.asked == [bytes([n]) for n in range(AT_ONCE)]
    source.open.set()
    assert await asyncio.gather(*tasks) == list(range(1, 21))
    assert source.asked == [bytes([n]) for n in range(20)]


async def test_a_question_nobody_waits_for_leaves_the_line(source: Source) -> None:
    tasks = await waiting(source, range(20))
    for task in tasks[:-1]:
        task.cancel()
    await turn()
    source.open.set()
    assert await tasks[-1] == AT_ONCE + 1
    assert source.asked == [*(bytes([n]) for n in range(AT_ONCE)), bytes([19])]


@pytest.mark.parametrize("passes", range(5))
async def test_one_that_asks_as_the_last_one_goes_is_answered(source: Source, passes: int) -> None:
    tasks = await waiting(source, range(AT_ONCE + 1))
    tasks[-1].cancel()
    for _ in range(passes):
        await asyncio.sleep(0)
    later = asyncio.create_task(source.lookups.get(bytes([AT_ONCE])))
    await turn()
    source.open.set()
    assert await later == AT_ONCE + 1


async def test_one_of_two_who_goes_leaves_the_question_in_line(source: Source) -> None:
    [*_, first] = await waiting(source, range(AT_ONCE + 1))
    second = asyncio.create_task(source.lookups.get(bytes([AT_ONCE])))
    await turn()
    first.cancel()
    await turn()
    source.open.set()
    assert await second == AT_ONCE + 1 and len(source.asked) == AT_ONCE + 1


async def test_one_that_was_put_is_heard_to_its_end(source: Source) -> None:
    [task] = await waiting(source, range(1))
    task.cancel()
    await turn()
    source.open.set()
    assert await source.lookups.get(bytes([0])) == 1 and source.asked == [bytes([0])]


async def test_what_was_answered_while_the_process_stood_still_is_heard() -> None:
    source = Source()
    source.lookups = Lookups(source.find, seconds=0.5, patience=0.5, bound=3, clock=lambda: source.now)
    source.open.clear()
    asking = asyncio.create_task(source.lookups.get(b"a"))
    await turn()
    answering = threading.Timer(0.2, asyncio.get_running_loop().call_soon_threadsafe, (source.open.set,))
    answering.start()
    time.sleep(1)  # noqa: ASYNC251 - that it stands still is the point
    assert await asking == 1
    answering.join()


async def test_an_answer_stands_in_for_one_that_does_not_come_in_time_and_no_longer_than_it_may() -> None:
    source = Source()
    source.lookups = Lookups(
        source.find, seconds=0.5, patience=0.05, spare=2.0, bound=3, clock=lambda: source.now
    )
    source.open.clear()
    with pytest.raises(TimeoutError):
        await source.lookups.get(b"a")  # there is none yet
    source.open.set()
    await turn()
    known = await source.lookups.get(b"a")
    source.now += 1.0
    source.open.clear()
    assert await source.lookups.get(b"a") == known
    source.now += 0.6
    assert await source.lookups.get(b"a") == known, "the question before it has no answer either"
    source.now += 1.0
    with pytest.raises(TimeoutError):
        await source.lookups.get(b"a")
    source.open.set()
    await turn()
    source.now += 0.6
    assert await source.lookups.get(b"a") > known

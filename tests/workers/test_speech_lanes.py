"""Lanes are real threads here; what they hear is made up."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Callable, Hashable, Iterator
from random import Random
from typing import Protocol

import numpy as np
import pytest

import speech_house
from antiphon.errors import EngineFailed, InvalidRequest, Unavailable
from antiphon.workers.speech.lanes import LONGER, STUCK_SECONDS, Lanes, Pace
from antiphon.workers.speech.schedule import Schedule, Task
from antiphon.workers.speech.values import Heard, Job, Rung, Window
from until import until

SECONDS = 10.0
"""Longest wait of a thread for the test, and of the test for a thread."""
FIRST = Rung()
SECRET = "what was said"


def task(
    job: str = "a",
    cost: float = 0.1,
    *,
    number: int = 0,
    key: Hashable = "key",
    remaining: float | None = None,
    organization: str = "ours",
) -> Task:
    return Task(
        job=Job(id=job, organization=organization, model="m"),
        window=Window(number=number, start=0, samples=np.zeros(16, np.int16)),
        rung=FIRST,
        key=key,
        cost=cost,
        remaining=cost if remaining is None else remaining,
    )


def heard(task: Task) -> Heard:
    return Heard(segments=(), language=task.job.id)


class Ear(speech_house.Ear):
    """Hears the name of the recording, unless `answers` says otherwise; stands still while it is shut."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = heard

    def __call__(self, tasks: list[Task]) -> list[Heard | Rung]:
        return self.hear(tasks)

    @property
    def recordings(self) -> list[list[str]]:
        return [[one.job.id for one in batch] for batch in self.batches]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Start(Protocol):
    def __call__(
        self,
        hear: Callable[[list[Task]], list[Heard | Rung]],
        count: int = 1,
        *,
        renew: Callable[[Task], None] = ...,
        clock: Callable[[], float] = ...,
        schedule: Schedule | None = None,
    ) -> Lanes: ...


@pytest.fixture
def ear() -> Ear:
    return Ear()


@pytest.fixture
def start(ear: Ear) -> Iterator[Start]:
    """Lanes that are closed afterwards, and whose threads then end."""
    started: list[Lanes] = []

    def begin(*args: object, **options: object) -> Lanes:
        started.append(Lanes(*args, **{"count": 1, **options}))  # type: ignore[arg-type]
        return started[-1]

    yield begin
    ear.open.set()
    for one in started:
        one.close(wait=SECONDS)
        assert not any(thread.is_alive() for thread in one._threads)


async def busy(lanes: Lanes, ear: Ear, job: str = "first") -> asyncio.Future[Heard]:
    """Shut the ear, and have the only lane stand before it."""
    ear.open.clear()
    future = lanes.submit(task(job, key=object()))
    await until(lambda: [job] in ear.recordings)
    return future


async def test_a_window_is_heard_at_once_in_a_thread_of_its_own(start: Start, ear: Ear) -> None:
    threads = []

    def hear(tasks: list[Task]) -> list[Heard | Rung]:
        threads.append(threading.current_thread())
        return ear(tasks)

    future = start(hear).submit(one := task("a"))
    assert future is one.future
    async with asyncio.timeout(SECONDS):
        assert (await future).language == "a"
    assert threads[0] is not threading.current_thread()
    assert threads[0].daemon


async def test_what_waits_becomes_one_batch(start: Start, ear: Ear) -> None:
    lanes = start(ear)
    futures = [await busy(lanes, ear), *(lanes.submit(task(name)) for name in "abc")]
    ear.open.set()
    assert [one.language for one in await asyncio.gather(*futures)] == ["first", "a", "b", "c"]
    assert ear.recordings == [["first"], ["a", "b", "c"]]


async def test_a_short_recording_overtakes_much_longer_ones(start: Start, ear: Ear) -> None:
    lanes = start(ear)
    ear.open.clear()
    futures = [lanes.submit(task("hour", 0.5, remaining=10 * LONGER))]
    await until(lambda: ear.recordings == [["hour"]])
    futures.append(lanes.submit(task("long", 0.5, key=2, remaining=11.0)))
    futures.append(lanes.submit(task("clip", 0.1, key=3)))
    await until(lambda: len(ear.recordings) == 2)
    # There is one spare lane, and it holds one window.
    futures.append(lanes.submit(task("late", 0.1, key=4)))
    ear.open.set()
    assert [one.language for one in await asyncio.gather(*futures)] == ["hour", "long", "clip", "late"]
    assert ear.recordings[:2] == [["hour"], ["clip"]] and len(ear.recordings) == 4


async def test_the_spare_lane_notices_that_the_others_have_become_busy(start: Start, ear: Ear) -> None:
    go = {name: threading.Event() for name in ("first", "hour")}

    def answer(one: Task) -> Heard:
        assert one.job.id not in go or go[one.job.id].wait(SECONDS)
        return heard(one)

    ear.answers = answer
    lanes = start(ear)
    futures = [lanes.submit(task("first", 0.1))]
    await until(lambda: ear.recordings == [["first"]])
    # Of an organization that has not been served yet, so it is next; until then nothing may overtake.
    futures.append(lanes.submit(task("hour", 0.5, key=2, remaining=100.0, organization="theirs")))
    futures.append(lanes.submit(task("clip", 0.1, key=3)))
    go["first"].set()
    await until(lambda: ear.recordings == [["first"], ["hour"], ["clip"]])
    go["hour"].set()
    await asyncio.gather(*futures)


async def test_nobody_overtakes_what_is_as_short(start: Start, ear: Ear) -> None:
    lanes = start(ear)
    ear.open.clear()
    futures = [lanes.submit(task("first", 0.3)), lanes.submit(task("second", 0.3, key=2))]
    await until(lambda: ear.recordings == [["first"]])
    with pytest.raises(TimeoutError):
        await until(lambda: len(ear.recordings) > 1, seconds=0.2)
    ear.open.set()
    await asyncio.gather(*futures)


async def test_lanes_work_at_the_same_time(start: Start) -> None:
    both = threading.Barrier(2)

    def hear(tasks: list[Task]) -> list[Heard | Rung]:
        both.wait(SECONDS)
        return [heard(one) for one in tasks]

    lanes = start(hear, count=2)
    await asyncio.gather(lanes.submit(task("a", key=1)), lanes.submit(task("b", key=2)))


async def test_of_a_batch_that_fails_each_window_is_tried_alone(
    start: Start, ear: Ear, caplog: pytest.LogCaptureFixture
) -> None:
    errors = {"b": ValueError(SECRET), "d": InvalidRequest("Not this language.")}
    ear.answers = lambda one: errors.get(one.job.id, heard(one))
    lanes = start(ear)
    futures = [await busy(lanes, ear), *(lanes.submit(task(name)) for name in "abcd")]
    ear.open.set()
    _, a, b, c, d = await asyncio.gather(*futures, return_exceptions=True)
    assert isinstance(a, Heard) and isinstance(c, Heard)
    assert (type(b), str(b)) == (EngineFailed, "The speech engine failed.")
    assert d is errors["d"]
    assert ear.recordings == [["first"], list("abcd"), ["a"], ["b"], ["c"], ["d"]]
    assert "ValueError" in caplog.text and SECRET not in caplog.text


async def test_a_lone_window_that_fails_is_not_tried_again(start: Start, ear: Ear) -> None:
    ear.answers = lambda one: RuntimeError(SECRET) if one.job.id == "a" else heard(one)
    lanes = start(ear)
    with pytest.raises(EngineFailed, match=r"^The speech engine failed\.$") as failure:
        await lanes.submit(task("a"))
    # The chain of an exception is printed where nobody handles it.
    assert failure.value.__cause__ is None
    assert (await lanes.submit(task("b"))).language == "b"
    assert ear.recordings == [["a"], ["b"]]


@pytest.mark.parametrize("results", [[], [Heard(segments=(), language="en")] * 2])
async def test_too_few_or_many_results_are_a_failure(start: Start, results: list[Heard | Rung]) -> None:
    with pytest.raises(EngineFailed):
        await start(lambda tasks: results).submit(task())


async def test_another_rung_is_another_try_that_keeps_its_place(start: Start, ear: Ear) -> None:
    second, clock = Rung(temperature=0.2, full=True), Clock()
    ear.answers = lambda one: second if one.job.id == "a" and one.rung == FIRST else heard(one)

    def renew(one: Task) -> None:
        one.key, one.cost = ("renewed", one.rung), 0.4

    lanes = start(ear, renew=renew, clock=clock)
    future = lanes.submit(one := task("a"))
    clock.now += 5
    assert (await future).language == "a"
    assert (one.arrived, one.rung, one.key, one.cost) == (1000.0, second, ("renewed", second), 0.4)
    assert ear.recordings == [["a"], ["a"]]
    assert lanes.expected(0.0) == 0.0


async def test_only_those_on_the_same_rung_share_a_batch(start: Start, ear: Ear) -> None:
    ear.answers = lambda one: (
        Rung(temperature=0.2) if one.job.id in "ab" and one.rung == FIRST else heard(one)
    )
    lanes = start(ear)
    futures = [await busy(lanes, ear), *(lanes.submit(task(name)) for name in "abc")]
    ear.open.set()
    await asyncio.gather(*futures)
    assert ear.recordings == [["first"], ["a", "b", "c"], ["a", "b"]]


async def test_a_window_whose_next_try_cannot_be_prepared_fails(start: Start, ear: Ear) -> None:
    ear.answers = lambda one: Rung(temperature=0.2)
    with pytest.raises(EngineFailed):
        await start(ear, renew=lambda one: {}[SECRET]).submit(task())


async def test_cancelling_drops_what_waits_and_ignores_what_runs(start: Start, ear: Ear) -> None:
    lanes = start(ear)
    running = await busy(lanes, ear, "a")
    waiting, other = lanes.submit(task("a", number=1)), lanes.submit(task("b", number=1))
    lanes.cancel("a")
    lanes.cancel("unknown")
    assert running.cancelled() and waiting.cancelled()
    ear.open.set()
    assert (await other).language == "b"
    assert ear.recordings == [["a"], ["b"]]


@pytest.mark.parametrize(("answer", "further"), [(Rung(temperature=0.2), []), (ValueError(), [["b"]])])
async def test_what_was_cancelled_is_not_tried_again(
    start: Start, ear: Ear, answer: speech_house.Answer, further: list[list[str]]
) -> None:
    entered, go = threading.Event(), threading.Event()

    def answers(one: Task) -> speech_house.Answer:
        if one.job.id != "a":
            return heard(one)
        entered.set()
        assert go.wait(SECONDS)
        return answer

    ear.answers = answers
    lanes = start(ear)
    futures = [await busy(lanes, ear), lanes.submit(task("a")), lanes.submit(task("b"))]
    ear.open.set()
    await until(entered.is_set)
    lanes.cancel("a")
    go.set()
    assert (await futures[2]).language == "b"
    assert (await lanes.submit(task("c"))).language == "c"
    assert ear.recordings == [["first"], ["a", "b"], *further, ["c"]]


async def test_a_waiter_that_goes_away_gives_its_window_up(start: Start, ear: Ear) -> None:
    lanes = start(ear)
    first = await busy(lanes, ear)

    async def wait() -> Heard:
        return await lanes.submit(task("a", 50.0))

    waiter = asyncio.create_task(wait())
    await asyncio.sleep(0)
    assert lanes.expected(99.0) > 99.0 + 50.0
    waiter.cancel()
    await asyncio.gather(waiter, return_exceptions=True)
    assert lanes.expected(99.0) == pytest.approx(99.0 + 0.1)
    ear.open.set()
    await first
    assert (await lanes.submit(task("b"))).language == "b"
    assert ear.recordings == [["first"], ["b"]]


async def test_closing_fails_what_waits_and_what_runs(start: Start, ear: Ear) -> None:
    lanes = start(ear)
    futures = [await busy(lanes, ear), *(lanes.submit(task(name, key=name)) for name in "abc")]
    lanes.close()
    for result in await asyncio.gather(*futures, return_exceptions=True):
        assert isinstance(result, EngineFailed)
    with pytest.raises(EngineFailed):
        lanes.submit(task("d"))
    ear.answers = lambda one: Rung(temperature=0.2)
    ear.open.set()
    lanes.close(wait=SECONDS)
    assert not any(thread.is_alive() for thread in lanes._threads)
    assert ear.recordings == [["first"]]


@pytest.mark.parametrize("answer", [heard, lambda one: ValueError()], ids=["heard", "failed"])
def test_a_loop_that_is_gone_is_nobody_to_tell(
    start: Start, ear: Ear, answer: Callable[[Task], speech_house.Answer]
) -> None:
    lanes = start(ear)

    async def leave() -> None:
        await busy(lanes, ear)
        lanes.submit(task("waiting", key="other"))

    async def stay() -> Heard:
        ear.answers = answer
        ear.open.set()
        await until(lambda: ["waiting"] in ear.recordings)
        ear.answers = heard
        return await lanes.submit(task("late"))

    asyncio.run(leave())
    assert asyncio.run(stay()).language == "late"


async def test_a_lane_that_does_not_come_back_is_noticed(start: Start, ear: Ear) -> None:
    clock = Clock()
    lanes = start(ear, count=2, clock=clock)
    lanes.check(clock.now + 10 * STUCK_SECONDS)
    first = await busy(lanes, ear)
    clock.now += STUCK_SECONDS / 2
    second = lanes.submit(task("second"))
    await until(lambda: len(ear.batches) == 2)
    lanes.check(clock.now + STUCK_SECONDS / 2)
    with pytest.raises(EngineFailed):
        lanes.check(clock.now + STUCK_SECONDS / 2 + 0.1)
    ear.open.set()
    await asyncio.gather(first, second)
    lanes.check(clock.now + 10 * STUCK_SECONDS)


async def test_what_is_expected_counts_what_others_will_take_meanwhile(start: Start, ear: Ear) -> None:
    lanes = start(ear, count=2)
    assert lanes.expected(6.0) == 3.0
    ear.open.clear()
    lanes.submit(task("hour", 0.5, key=1, remaining=100.0))
    await until(lambda: len(ear.batches) == 1)
    lanes.submit(task("minute", 0.5, key=2, remaining=1.5))
    await until(lambda: len(ear.batches) == 2)
    # Of what runs, all of its recording counts, but not more than the newcomer needs.
    assert lanes.expected(6.0) == (6.0 + 6.0 + 1.5) / 2
    lanes.submit(task("minute", 0.5, number=1, key=2, remaining=1.0))
    lanes.submit(task("other", 2.0, key=2))
    assert lanes.expected(6.0) == (6.0 + 6.0 + 1.5 + 2.0) / 2
    assert lanes.expected(0.5) == 4 * 0.5 / 2
    ear.open.set()


async def test_the_lanes_learn_how_fast_they_are(start: Start, ear: Ear) -> None:
    clock, schedule = Clock(), Schedule()

    def slow(tasks: list[Task]) -> list[Heard | Rung]:
        clock.now += 3 * sum(one.cost for one in tasks)
        return ear(tasks)

    lanes = start(slow, clock=clock, schedule=schedule)
    for _ in range(100):
        await lanes.submit(task(cost=0.2))
    assert lanes.expected(10.0) == pytest.approx(30.0, rel=0.02)
    first = await busy(lanes, ear)
    futures = [lanes.submit(task(f"{n}", 0.05)) for n in range(9)]
    ear.open.set()
    await asyncio.gather(first, *futures)
    assert [len(batch) for batch in ear.batches[-3:]] == [3, 3, 3]


async def test_failures_teach_nothing_about_speed(start: Start, ear: Ear) -> None:
    clock, schedule = Clock(), Schedule()

    def fail(tasks: list[Task]) -> list[Heard | Rung]:
        clock.now += 100.0
        raise ValueError

    lanes = start(fail, clock=clock, schedule=schedule)
    await asyncio.gather(lanes.submit(task()), return_exceptions=True)
    assert schedule.pace == 1.0


@pytest.mark.parametrize(("actual", "learned"), [(0.0, 0.002), (0.0001, 0.002), (0.3, 1.5), (1e6, 10.0)])
def test_a_pace_is_bounded(actual: float, learned: float) -> None:
    pace = Pace()
    assert pace.value == 1.0
    assert pace.learn(0.0, 5.0) == 1.0
    for _ in range(500):
        pace.learn(0.2, actual)
    assert pace.value == pytest.approx(learned, rel=1e-6)


def test_one_outlier_is_not_the_pace() -> None:
    pace = Pace()
    for _ in range(50):
        pace.learn(0.5, 0.5)
    assert pace.learn(0.5, 1000.0) < 2.0
    for _ in range(30):
        pace.learn(0.5, 0.5)
    assert pace.value == pytest.approx(1.0, abs=0.05)


async def test_so_many_may_wait(start: Start, ear: Ear) -> None:
    lanes = start(ear, most=2)
    futures = [await busy(lanes, ear), *(lanes.submit(task(name)) for name in "ab")]
    with pytest.raises(Unavailable) as refusal:
        lanes.submit(task("c"))
    assert refusal.value.retry_after == 5
    ear.open.set()
    await asyncio.gather(*futures)
    await lanes.submit(task("c"))


async def test_an_idle_lane_keeps_no_sound(start: Start) -> None:
    lanes = start(lambda tasks: [heard(one) for one in tasks])
    one = task()
    sound = weakref.ref(one.window.samples)
    await lanes.submit(one)
    del one

    def gone() -> bool:
        gc.collect()
        return sound() is None

    await until(gone)


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_happens_every_window_has_an_end(start: Start, seed: int) -> None:
    """Four lanes, failures, further rungs, and recordings and waiters that go away, in any order."""
    chance, lock = Random(seed), threading.Lock()

    def hear(tasks: list[Task]) -> list[Heard | Rung]:
        with lock:
            fate = [chance.random() for _ in tasks]
        time.sleep(0.0005)
        if any(one < 0.05 for one in fate):
            raise ValueError
        return [
            Rung(temperature=one.rung.temperature + 0.2)
            if f > 0.8 and one.rung.temperature < 1
            else heard(one)
            for one, f in zip(tasks, fate, strict=True)
        ]

    schedule = Schedule(4)
    lanes = start(hear, count=4, schedule=schedule)
    futures = {}
    for number in range(400):
        one = task(f"{number % 40}", chance.uniform(0.01, 0.3), number=number, key=number % 3)
        futures[lanes.submit(one)] = one
        if number % 10 == 0:
            await asyncio.sleep(0)
            lanes.cancel(f"{chance.randrange(40)}")
            chance.choice(list(futures)).cancel()
    async with asyncio.timeout(SECONDS):
        results = await asyncio.gather(*futures, return_exceptions=True)
    for result, one in zip(results, futures.values(), strict=True):
        assert isinstance(result, EngineFailed | asyncio.CancelledError) or result == heard(one)
    await until(lambda: not lanes._running)  # what was cancelled may still run
    assert len(schedule) == 0

"""The threads in which windows are transcribed, each one batch at a time."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from antiphon.errors import AntiphonError, EngineFailed, Unavailable
from antiphon.workers.speech.schedule import Schedule, Task, together
from antiphon.workers.speech.values import Heard, Rung

STUCK_SECONDS = 60.0
"""A batch that takes longer never ends."""
LONGER = 4.0
"""By how much all that run must be longer than a recording that overtakes them."""
_KEPT = 0.9
"""How much of what was learned about speed a batch leaves; it takes some ten batches to learn anew."""
_PACES = 0.002, 10.0
"""A GPU is hundreds of times as fast as the thread of a processor that predictions are about."""

_log = logging.getLogger(__name__)


class Pace:
    """Actual by predicted seconds, of late. A long batch counts for more than a short one."""

    def __init__(self) -> None:
        self._predicted = self._actual = 1.0

    @property
    def value(self) -> float:
        """Between 0.002 and 10."""
        return min(max(self._actual / self._predicted, _PACES[0]), _PACES[1])

    def learn(self, predicted: float, actual: float) -> float:
        """Note how long a batch took, if anything was predicted, and return `value`."""
        # One batch that was held up by something is not how fast the model is.
        actual = min(max(actual, _PACES[0] * predicted), _PACES[1] * predicted)
        if predicted > 0:
            self._predicted = _KEPT * self._predicted + predicted
            self._actual = _KEPT * self._actual + actual
        return self.value


@dataclass(frozen=True, slots=True)
class _Running:
    tasks: list[Task]
    since: float


_Outcome = tuple[Task, Heard | AntiphonError | None]


class Lanes:
    """`count` threads that take batches from one schedule as soon as they are free.

    One thread more is spare: while all others are busy with recordings that need `LONGER` times as much, it
    takes single windows of a short one, which then shares the processor instead of waiting for a batch.

    `hear(tasks)` is called in them, by all at once. For each task it returns what was heard, or the rung on
    which to try again: the window is then queued anew as if it had waited all the time, after `renew(task)`
    has set the `key` and `cost` of the new rung. If `hear` raises, each window of the batch is tried once
    more alone; what is raised for a lone one is its own error, `EngineFailed` unless an `AntiphonError`.

    `schedule` is the lanes' own from here on, `most` bounds the windows that wait in it. `clock` gives
    seconds that only ever grow. Everything but `close` is called in the thread of an event loop.
    """

    def __init__(
        self,
        hear: Callable[[list[Task]], Sequence[Heard | Rung]],
        count: int,
        *,
        schedule: Schedule | None = None,
        most: int = 4096,
        renew: Callable[[Task], None] = lambda task: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._hear, self._renew, self._clock = hear, renew, clock
        self._schedule = Schedule() if schedule is None else schedule
        self._most = most
        self._pace = Pace()
        self._running: dict[int, _Running] = {}
        """What each busy lane does."""
        self._closed = False
        self._changed = threading.Condition(threading.Lock())
        """Guards all of the above; notified when there is something to take."""
        self._threads = [
            threading.Thread(target=self._work, args=(number,), name=f"lane-{number}", daemon=True)
            for number in range(count + 1)
        ]
        self._count = count
        for thread in self._threads:
            thread.start()

    def submit(self, task: Task) -> asyncio.Future[Heard]:
        """Queue a window. Its future is also `task.future`; cancelling it gives the window up.

        Raises `EngineFailed` after `close`, `Unavailable` if far too many wait.
        """
        with self._changed:
            if self._closed:
                raise _closing()
            if len(self._schedule) >= self._most:
                raise Unavailable("Too many recordings are waiting.", retry_after=5)
            task.future = future = asyncio.get_running_loop().create_future()
            task.arrived = self._clock()
            self._schedule.add(task)
            self._changed.notify_all()
        future.add_done_callback(lambda done: self._given_up(task) if done.cancelled() else None)
        return future

    def cancel(self, job_id: str) -> None:
        """Give a recording up: its futures are cancelled; what of it is running ends, and is ignored."""
        with self._changed:
            running = [task for batch in self._running.values() for task in batch.tasks]
            tasks = self._schedule.cancel(job_id) + [task for task in running if task.job.id == job_id]
        for task in tasks:
            if task.future is not None:
                task.future.cancel()

    def expected(self, cost: float) -> float:
        """Seconds until a recording of so much predicted work would be done, if it came now.

        Lanes are shared: until it is done, each of the others gets as much as it does, or all that it needs.
        """
        with self._changed:
            left = self._schedule.remaining()
            for batch in self._running.values():
                for task in batch.tasks:
                    left[task.job.id] = max(left.get(task.job.id, 0.0), task.remaining, task.cost)
            pace = self._pace.value
        return pace * (cost + sum(min(others, cost) for others in left.values())) / self._count

    def check(self, now: float) -> None:
        """Raise `EngineFailed` if a lane does not come to the end of its batch; `now` as `clock` tells it."""
        with self._changed:
            since = [batch.since for batch in self._running.values()]
        if since and now - min(since) > STUCK_SECONDS:
            raise EngineFailed("The speech engine is stuck.")

    def close(self, wait: float = 0.0) -> None:
        """Fail whatever waits or runs. The threads end with their batches; wait so many seconds for that."""
        with self._changed:
            self._closed = True
            tasks = [task for batch in self._running.values() for task in batch.tasks]
            while batch := self._schedule.take(self._clock()):
                tasks += batch
            self._changed.notify_all()
        for task in tasks:
            _settle(task, _closing())
        deadline = time.monotonic() + wait
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _given_up(self, task: Task) -> None:
        with self._changed:
            self._schedule.discard(task)

    def _work(self, lane: int) -> None:
        while self._turn(lane):
            # Nothing of a batch is kept while the lane waits for the next one.
            continue

    def _turn(self, lane: int) -> bool:
        """Do one batch, when there is one. False once the lanes are closed."""
        with self._changed:
            while not self._closed and not (batch := self._taken(lane)):
                self._changed.wait()
            if self._closed:
                return False
            self._running[lane] = _Running(batch, self._clock())
            if len(self._schedule):
                # With this one the others may all be busy, which the spare lane waits for.
                self._changed.notify_all()
        predicted = together([task.cost for task in batch])
        try:
            results = self._hear(batch)
            if len(results) != len(batch):
                raise ValueError("as many results as windows")
            outcomes = [self._outcome(task, result) for task, result in zip(batch, results, strict=True)]
        except Exception as problem:
            self._done(lane, self._failed(batch, problem), 0.0)
        else:
            self._done(lane, outcomes, predicted)
        return True

    def _taken(self, lane: int) -> list[Task]:
        """What a free lane may do now. The spare one may only overtake."""
        if lane < self._count:
            return self._schedule.take(self._clock())
        if len(self._running) < self._count:
            return []
        left = [
            max(max(task.remaining, task.cost) for task in batch.tasks) for batch in self._running.values()
        ]
        return self._schedule.overtake(min(left) / LONGER)

    def _outcome(self, task: Task, result: Heard | Rung) -> _Outcome:
        """The result; of a window that is to be tried on another rung, none, and it is ready for that."""
        if not isinstance(result, Rung):
            return task, result
        task.rung = result
        self._renew(task)
        return task, None

    def _failed(self, batch: list[Task], problem: Exception) -> list[_Outcome]:
        """Another try for each of several, alone; else what the one who waits may know of the failure."""
        error = problem if isinstance(problem, AntiphonError) else None
        if error is None:
            # Its place, never its text, which may tell what was said.
            places = "".join(traceback.format_tb(problem.__traceback__))
            _log.error("%s at\n%s", type(problem).__name__, places)
            error = EngineFailed("The speech engine failed.", retry_after=1)
        if len(batch) == 1:
            return [(batch[0], error)]
        for task in batch:
            task.alone = True
        return [(task, None) for task in batch]

    def _done(self, lane: int, outcomes: list[_Outcome], predicted: float) -> None:
        """The lane is free. What has no result waits again, unless nobody waits for it any more."""
        with self._changed:
            done = self._running.pop(lane)
            took = self._clock() - done.since
            self._schedule.pace = self._pace.learn(predicted, took)
            for task, result in outcomes:
                if result is not None:
                    _settle(task, result)
                elif not self._closed and task.future is not None and not task.future.done():
                    self._schedule.add(task)
                    self._changed.notify_all()


def _settle(task: Task, result: Heard | AntiphonError) -> None:
    """Hand a result over to the event loop of whoever waits for it, if it still runs."""
    if task.future is not None:
        with suppress(RuntimeError):  # The loop is closed.
            task.future.get_loop().call_soon_threadsafe(_set, task.future, result)


def _set(future: asyncio.Future[Heard], result: Heard | AntiphonError) -> None:
    if future.done():
        return
    if isinstance(result, AntiphonError):
        future.set_exception(result)
    else:
        future.set_result(result)


def _closing() -> EngineFailed:
    return EngineFailed("The speech engine is shutting down.", retry_after=1)

"""Which windows are transcribed next: fair to organizations, short recordings first, and nobody starves."""

from __future__ import annotations

import asyncio
import heapq
from bisect import insort
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from operator import attrgetter

from antiphon.workers.speech.judge import Attempt
from antiphon.workers.speech.values import Heard, Job, Rung, Window

PATIENCE = 8.0
"""Seconds after which a window's age counts for more than its recording's length."""
ADVANCE = 1.0
"""Seconds added to every wait: the shortest of those that have just come is first."""
IDLE = 1024
"""Organizations without work whose service is remembered."""
SHARED = 0.6
"""What a window costs in a batch with others, by what it costs alone: each step reads all weights once."""
_LEAST = 1e-3
"""Seconds that a recording costs at least."""
_ROUNDING = 1e-9
"""Ten tenths are one second."""


@dataclass(eq=False, slots=True, kw_only=True)
class Task:
    """A window that waits or is being transcribed. Costs are predicted seconds of one lane."""

    job: Job
    window: Window
    rung: Rung
    language: str | None = None
    """The recording's, if it is known."""
    key: Hashable
    """Tasks of one key and rung can be one batch."""
    cost: float
    remaining: float = 0.0
    """The cost of its recording from this window to the end, when it was first submitted."""
    future: asyncio.Future[Heard] | None = None
    """Who waits for it; set by the lanes."""
    arrived: float = 0.0
    """When it was first submitted; set by the lanes, and kept by further tries."""
    attempts: list[Attempt] = field(default_factory=list)
    """What was heard on the rungs before, kept for the model."""
    alone: bool = False
    """Whether it shares no batch: one that it was part of has failed."""


@dataclass(eq=False, slots=True)
class _Recording:
    id: str
    organization: _Organization
    tasks: list[Task] = field(default_factory=list)
    """By number of the window; never empty between two calls."""
    latest: int = -1
    """The highest number of a window that was added."""
    remaining: float = 0.0
    """The cost of all that is not taken yet, whether its windows have come or not."""
    arrived: float = 0.0
    """When the first of them came."""
    cost: float = _LEAST
    """`remaining`, but never zero: something to divide by."""

    def note(self) -> None:
        """Keep what its place depends on, after a change: it is read far more often."""
        first = self.tasks[0]
        self.arrived, self.cost = first.arrived, max(self.remaining, first.cost, _LEAST)


@dataclass(eq=False, slots=True)
class _Organization:
    name: str
    number: int
    """Of two that have been served equally, the one that has had work for longer is first."""
    served: float
    """Seconds of service, counted from where the clock was when it came."""
    recordings: dict[str, _Recording] = field(default_factory=dict)
    patient: bool = False
    """Whether its last turn went to a window that had run out of patience."""

    def head(self, now: float) -> Task:
        """The next window. If the oldest one is too old, every other turn is for it: the short stay fast.

        Else it is one of the recording that has waited longest, as a multiple of what it takes: the highest
        response ratio (Hansen, 1971), so short ones are first, and a wait makes up for any length.
        """
        oldest = chosen = next(iter(self.recordings.values()))
        late, best = now + ADVANCE, 0.0
        for one in self.recordings.values():
            if one.arrived < oldest.arrived:
                oldest = one
            if (urgency := (late - one.arrived) / one.cost) > best:
                chosen, best = one, urgency
        self.patient = now - oldest.arrived > PATIENCE and not self.patient
        return (oldest if self.patient else chosen).tasks[0]


_Candidate = tuple[float, int, int, Task]
"""How a window that may fill a batch is ranked: smallest first; the third number only breaks ties."""


class Schedule:
    """The windows that wait. Not thread-safe. `now` is seconds of the clock of `Task.arrived`, whichever.

    A batch holds at most `rows` tasks that together take `batch_seconds` at most (see `together`; `pace` is
    actual by predicted seconds), or one task: so long waits for a lane whoever comes.

    Organizations are served by start-time fair queueing (Goyal et al., 1996): the least served is next,
    and one that was idle starts where the others are. A batch is filled up with whoever's windows fit, but
    nobody gets further ahead by that than by a batch: while two always have work, neither gets a batch more.
    """

    def __init__(self, rows: int = 8, batch_seconds: float = 0.5) -> None:
        self._rows, self._seconds = rows, batch_seconds
        self.pace = 1.0
        self._organizations: dict[str, _Organization] = {}
        self._idle: dict[str, float] = {}
        self._recordings: dict[str, _Recording] = {}
        self._alike: dict[Hashable, dict[Task, _Recording]] = {}
        self._clock = 0.0
        """Service of the organization that was last at the head."""
        self._numbers = count()
        self._waiting = 0

    def __len__(self) -> int:
        return self._waiting

    def add(self, task: Task) -> None:
        """Queue a window: the next of its recording, or one that was taken and is to be tried again."""
        recording = self._recordings.get(task.job.id) or self._begin(task.job)
        if task.window.number > recording.latest:
            recording.latest = task.window.number
            recording.remaining = task.remaining + sum(one.cost for one in recording.tasks)
        else:
            recording.remaining += task.cost
        insort(recording.tasks, task, key=_number)
        recording.note()
        self._alike.setdefault(_group(task), {})[task] = recording
        self._waiting += 1

    def take(self, now: float) -> list[Task]:
        """The next batch, of one key and rung; empty if nothing waits."""
        if not self._organizations:
            return []
        first = min(self._organizations.values(), key=_served)
        self._clock = max(self._clock, first.served)
        head = first.head(now)
        batch = [head]
        first.served += head.cost
        if not head.alone:
            self._fill(batch, now)
        for task in batch:
            self._remove(task)
        return batch

    def overtake(self, within: float) -> list[Task]:
        """The next window of the shortest recording, if all that is left of it costs at most `within`."""
        shortest = min(self._recordings.values(), key=_cost, default=None)
        if shortest is None or shortest.cost > within:
            return []
        task = shortest.tasks[0]
        shortest.organization.served += task.cost
        self._remove(task)
        return [task]

    def cancel(self, job_id: str) -> list[Task]:
        """Take a recording's windows out, and return them."""
        recording = self._recordings.get(job_id)
        tasks = list(recording.tasks) if recording else []
        for task in tasks:
            self._remove(task)
        return tasks

    def discard(self, task: Task) -> None:
        """Take one window out, if it waits."""
        if task in self._alike.get(_group(task), ()):
            self._remove(task)

    def remaining(self) -> dict[str, float]:
        """The recordings of which windows wait, each with the cost of all that is not taken yet."""
        return {one.id: one.cost for one in self._recordings.values()}

    def _begin(self, job: Job) -> _Recording:
        organization = self._organizations.get(job.organization)
        if organization is None:
            served = max(self._idle.pop(job.organization, 0.0), self._clock)
            organization = _Organization(job.organization, next(self._numbers), served)
            self._organizations[job.organization] = organization
        recording = _Recording(job.id, organization)
        self._recordings[job.id] = organization.recordings[job.id] = recording
        return recording

    def _fill(self, batch: list[Task], now: float) -> None:
        """Add windows that can share the head's batch, from those who have been served least."""
        head = batch[0]
        bound = self._seconds / self.pace + _ROUNDING
        room, furthest = (bound - head.cost) / SHARED, self._clock + bound
        queues: dict[_Organization, list[_Candidate]] = {}
        late = now + ADVANCE
        for task, recording in self._alike[_group(head)].items():
            if task.cost <= room and task is not head:
                urgency = (late - recording.arrived) / recording.cost
                queue = queues.get(recording.organization)
                if queue is None:
                    queue = queues[recording.organization] = []
                queue.append((-urgency, task.window.number, len(queue), task))
        nearest = heapq.nsmallest(self._rows, queues, key=_served)
        line = [(one.served, one.number, one, self._ranked(queues[one])) for one in nearest]
        heapq.heapify(line)
        while line and len(batch) < self._rows:
            served, number, organization, ranked = line[0]
            most = min(room, furthest - served)
            found = next((one for one in ranked if one.cost <= most), None)
            if found is None:
                heapq.heappop(line)
                continue
            batch.append(found)
            room -= found.cost
            organization.served += found.cost
            heapq.heapreplace(line, (organization.served, number, organization, ranked))

    def _ranked(self, queue: list[_Candidate]) -> Iterator[Task]:
        """As many as a batch can hold, in the order in which one organization's windows are taken."""
        for candidate in heapq.nsmallest(self._rows, queue):
            yield candidate[-1]

    def _remove(self, task: Task) -> None:
        group = _group(task)
        recording = self._alike[group].pop(task)
        if not self._alike[group]:
            del self._alike[group]
        recording.tasks.remove(task)
        recording.remaining -= task.cost
        self._waiting -= 1
        if recording.tasks:
            recording.note()
        else:
            self._end(recording)

    def _end(self, recording: _Recording) -> None:
        organization = recording.organization
        del self._recordings[recording.id], organization.recordings[recording.id]
        if organization.recordings:
            return
        del self._organizations[organization.name]
        self._idle[organization.name] = organization.served
        if len(self._idle) > IDLE:
            del self._idle[next(iter(self._idle))]


def _number(task: Task) -> int:
    return task.window.number


_served, _cost = attrgetter("served"), attrgetter("cost")


def together(costs: Sequence[float]) -> float:
    """Predicted seconds of a batch: the first window, and of each other one what sharing leaves."""
    return costs[0] + SHARED * sum(costs[1:])


def _group(task: Task) -> Hashable:
    return task if task.alone else (task.key, task.rung)

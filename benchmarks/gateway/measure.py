"""The measures, each over one side that runs."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import psutil

from benchmarks.figures import median, percentile
from benchmarks.gateway.client import Connection, Crowd, Failed, request
from benchmarks.gateway.plan import Plan
from benchmarks.gateway.stub import MODELS, PERIOD
from benchmarks.gateway.values import LATE_SECONDS, Paced, Rate, Turn

COMMITS = 200
IDLE_CORES = 0.1
IDLE_SECONDS = 20.0
"""Longest wait for a gateway to be done with streams whose clients have left."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A side that runs: where, its key, and the processes that are the gateway (none: the upstream)."""

    address: tuple[str, int]
    key: str
    processes: tuple[int, ...] = ()


async def turn(target: Target, plan: Plan, *, hold: bool) -> Turn:
    """Every measure of one round; what fails is told in `problems`."""
    found = Turn()

    async def one(field: str, measure: Callable[[], Awaitable[Rate | Paced]]) -> None:
        try:
            setattr(found, field, await measure())
        except (Failed, OSError, TimeoutError) as problem:
            found.problems.append(f"{field}: {problem or 'no answer in time'}")
        await _idle(target)
        found.resident_mib = max(found.resident_mib, resident_mib(target.processes))

    await one("one", lambda: rate(target, plan, 1, plan.tokens, stream=False))
    await one("requests", lambda: rate(target, plan, plan.connections, plan.tokens, stream=False))
    await one("streams", lambda: rate(target, plan, plan.connections, plan.stream_tokens, stream=True))
    if target.processes:
        await one("paced", lambda: paced(target, plan.paced_streams, plan.ramp, plan.paced_seconds))
        if hold:
            await one("held", lambda: paced(target, plan.held_streams, plan.ramp, plan.held_seconds))
    return found


async def rate(target: Target, plan: Plan, connections: int, tokens: int, *, stream: bool) -> Rate:
    """So many clients, each asking again when it has its answer. Raises `Failed`."""
    sent = request(target.address, target.key, MODELS[0], tokens, stream=stream)
    crowd = Crowd(target.address, [sent] * connections)
    try:
        await crowd.open()
        await crowd.ask(plan.warm_up)
        processor, began = processor_seconds(target.processes), time.perf_counter()
        latencies = crowd.count()
        await crowd.wait(plan.seconds)
        took = time.perf_counter() - began
        used = processor_seconds(target.processes) - processor
    finally:
        crowd.close()
    return summed(latencies, took, used)


def summed(latencies: Sequence[float], seconds: float, processor: float) -> Rate:
    """Of answers that took so many seconds each, and all of which came in `seconds`, for `processor` seconds.

    Raises `Failed` if there are none.
    """
    if not latencies:
        raise Failed(f"no answer in {seconds:.1f} s")
    p50, p99 = (1000 * percentile(latencies, percent) for percent in (50, 99))
    count = len(latencies)
    return Rate(per_second=count / seconds, p50=p50, p99=p99, microseconds=1e6 * processor / count)


class Ear:
    """Counts the events of all streams, and the gaps between those of one, while it `counts`."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self.counts = False
        self.events = self.gaps = self.late = 0

    def hear(self, connection: Connection, count: int) -> None:
        """So many events came at once: the first after a gap, the others after none."""
        now = self._clock()
        if self.counts:
            self.events += count
            self.gaps += count
            self.late += now - connection.last > LATE_SECONDS
        connection.last = now

    def end(self, connections: Sequence[Connection]) -> None:
        """Count the gap that each stream is in, if that is too long already: a silent stream has no other."""
        self.counts = False
        overdue = sum(self._clock() - connection.last > LATE_SECONDS for connection in connections)
        self.gaps += overdue
        self.late += overdue


async def paced(target: Target, streams: int, ramp: float, seconds: float) -> Paced:
    """So many streams, begun over `ramp`, and heard for `seconds` once they have run for as long.

    Raises `Failed`, also if nothing is heard.
    """
    tokens = round((3 * ramp + seconds) / PERIOD) + 50  # none is to end before it is left
    requests = [request(target.address, target.key, model, tokens, stream=True) for model in MODELS]
    crowd, ear = Crowd(target.address, [requests[n % len(MODELS)] for n in range(streams)]), Ear()
    try:
        await crowd.open(ear.hear)
        await crowd.begin(ramp)
        await crowd.wait(ramp)
        processor, began = processor_seconds(target.processes), time.perf_counter()
        ear.counts = True
        await crowd.wait(seconds)
        ear.end(crowd.connections)
        took = time.perf_counter() - began
        used = processor_seconds(target.processes) - processor
    finally:
        crowd.close()
    if not ear.events:
        raise Failed(f"no chunk of {streams} streams in {seconds:g} s")
    return Paced(
        microseconds=1e6 * used / ear.events,
        arrived=ear.events / (streams * took / PERIOD),
        gaps=ear.gaps,
        late=ear.late,
        cores=used / took,
    )


def processor_seconds(processes: Sequence[int]) -> float:
    """User and system time that they have taken."""
    times = [psutil.Process(pid).cpu_times() for pid in processes]
    return sum(one.user + one.system for one in times)


def resident_mib(processes: Sequence[int]) -> float:
    return sum(psutil.Process(pid).memory_info().rss for pid in processes) / 2**20


async def _idle(target: Target, step: float = 0.5) -> None:
    """Wait until the gateway rests, so that no measure pays for the one before."""
    with suppress(TimeoutError):
        async with asyncio.timeout(IDLE_SECONDS):
            busy = bool(target.processes)
            while busy:
                before = processor_seconds(target.processes)
                await asyncio.sleep(step)
                busy = processor_seconds(target.processes) - before > IDLE_CORES * step


def commit_ms(folder: Path) -> float:
    """Median milliseconds to append a line to a file in `folder` and sync it; blocks."""
    took = []
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder) as inside, (Path(inside) / "lines").open("ab", buffering=0) as file:
        for _ in range(COMMITS):
            began = time.perf_counter()
            file.write(b"x" * 400 + b"\n")
            os.fsync(file.fileno())
            took.append(1000 * (time.perf_counter() - began))
    return median(took)

"""`make wounds`: break a running Antiphon again and again, and report how long each wound stays open.

Every figure is a list of seconds; the report gives its median, 99th percentile and worst. The bars are those
of `docs/reliability.md`. Rounds are written as they come, so a run that was cut off goes on where it stopped.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks import ledger_rounds
from benchmarks.faults import (
    ENDLESS,
    LONG,
    SHORT,
    ask,
    busy_slots,
    engine_pid,
    equal,
    leave,
    served,
    session,
    slots,
    until,
    waiting,
)
from benchmarks.machine import machine
from benchmarks.processes import Server, antiphon

BARS = {
    "cancel, decode, streamed": 2.0,
    "cancel, decode, whole": 2.0,
    "cancel, prefill, streamed": 2.0,
    "cancel, prefill, whole": 2.0,
    "cancel, queued": 2.0,
    "refusal of a full queue": 0.05,
    "kill -9 to the error frame": 2.0,
    "kill -9 to the next answer": 10.0,
    "loop lag while 1 MB of prompt is read": 0.05,
}
"""Seconds, at the 99th percentile."""
PATIENCE = 60.0
Figures = dict[str, list[float]]


async def cancel(
    server: Server, client: aiohttp.ClientSession, name: str, messages: Any, stream: bool
) -> Figures:
    """From the client's leaving, at a random moment, to a free slot."""
    task = asyncio.create_task(ask(client, messages=messages, stream=stream))
    await until(lambda: equal(busy_slots(server), 1), PATIENCE)
    await asyncio.sleep(random.uniform(0, 1.5))
    await leave(task)
    return {name: [await until(lambda: equal(busy_slots(server), 0), PATIENCE)]}


async def crowd(server: Server, client: aiohttp.ClientSession) -> Figures:
    """A full queue: how fast it refuses, and how fast one who leaves it is forgotten."""
    tasks = [asyncio.create_task(ask(client, stream=True)) for _ in range(slots(server) + 16)]
    await until(lambda: equal(waiting(client), 16), PATIENCE)
    refusals = []
    for _ in range(20):
        began = time.monotonic()
        status, _ = await ask(client)
        assert status == 429, status
        refusals.append(time.monotonic() - began)
    await leave(tasks.pop())
    forgotten = await until(lambda: equal(waiting(client), 15), PATIENCE)
    for task in tasks:
        await leave(task)
    await until(lambda: equal(busy_slots(server), 0), PATIENCE)
    return {"refusal of a full queue": refusals, "cancel, queued": [forgotten]}


async def kill(server: Server, client: aiohttp.ClientSession) -> Figures:
    """kill -9 of the engine at a random moment of a stream: the error frame, then service again."""
    async with client.post(
        "chat/completions",
        json={"model": "gpt-3.5-turbo", "messages": SHORT, "stream": True, **ENDLESS},
    ) as response:
        await response.content.readline()
        await asyncio.sleep(random.uniform(0, 0.5))
        os.kill(engine_pid(server), signal.SIGKILL)
        killed = time.monotonic()
        rest = (await response.content.read()).decode()
    frame = time.monotonic() - killed
    assert '"engine_failed"' in rest and "[DONE]" not in rest, rest[-300:]
    await until(lambda: served(client), PATIENCE)
    return {"kill -9 to the error frame": [frame], "kill -9 to the next answer": [time.monotonic() - killed]}


async def lag(server: Server, client: aiohttp.ClientSession) -> Figures:
    """How long /healthz waits at worst while a prompt of 1 MB is received, parsed, rendered and refused."""
    reading = asyncio.create_task(ask(client, messages=[{"role": "user", "content": "word " * 200_000}]))
    worst = 0.0
    while not reading.done():
        began = time.monotonic()
        async with client.get("/healthz") as response:
            await response.read()
        worst = max(worst, time.monotonic() - began)
    status, _ = await reading
    assert status == 400, status
    return {"loop lag while 1 MB of prompt is read": [worst]}


def steps(server: Server, client: aiohttp.ClientSession) -> list[Callable[[], Awaitable[Figures]]]:
    """One round."""
    cancels = [
        partial(
            cancel, server, client, f"cancel, {phase}, {'streamed' if stream else 'whole'}", asked, stream
        )
        for phase, asked in (("decode", SHORT), ("prefill", LONG))
        for stream in (True, False)
    ]
    return [*cancels, *(partial(step, server, client) for step in (crowd, lag, kill))]


async def run(server: Server, rounds: int, figures: Figures, keep: Callable[[], None]) -> None:
    done = len(figures.get("kill -9 to the next answer", []))
    async with session(server) as client:
        for _ in track(range(done, rounds), description="Rounds", disable=None):
            for step in steps(server, client):
                for name, seconds in (await step()).items():
                    figures.setdefault(name, []).extend(seconds)
            keep()


def percentile(values: list[float], percent: int) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def table(figures: Figures) -> Table:
    shown = Table("figure", "n", "median s", "p99 s", "worst s", "bar s", "", title="Reliability")
    for name, bar in (BARS | ledger_rounds.BARS).items():
        values = figures.get(name, [])
        if values:
            p99 = percentile(values, 99)
            row = (statistics.median(values), p99, max(values), bar)
            verdict = "reached" if p99 <= bar else "missed"
            shown.add_row(name, str(len(values)), *(f"{value:.3f}" for value in row), verdict)
    return shown


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reliability", description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/reliability.json"))
    given = parser.parse_args()
    document: dict[str, Any] = {"machine": machine(), "figures": {}}
    if given.out.exists():
        document = json.loads(given.out.read_text())

    def keep() -> None:
        document["written"] = datetime.now(UTC).isoformat(timespec="seconds")
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(json.dumps(document, indent=1) + "\n")

    with tempfile.TemporaryDirectory() as folder, antiphon(Path(folder) / "home") as server:
        asyncio.run(run(server, given.rounds, document["figures"], keep))
    ledger_rounds.run(given.rounds, document["figures"], keep)
    Console().print(table(document["figures"]))


if __name__ == "__main__":
    main()

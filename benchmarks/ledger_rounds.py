"""The faults of `benchmarks.ledger_faults` again and again, at random moments, for `make wounds`."""

from __future__ import annotations

import asyncio
import os
import random
import statistics
import time
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

import aiohttp
from rich.progress import track
from tests.servers import PostgresDatabase, PostgresServer, ValkeyServer, fresh_database, postgres, valkey

from benchmarks import ledger_faults as faults
from benchmarks.books import Installation
from benchmarks.faults import ask, session
from benchmarks.ledger_faults import Away, Figures
from benchmarks.processes import Server

BARS = {
    "gateway killed and started again to every request ended": 60.0,
    "one gateway of several killed to its requests ended": 60.0,
    "engine killed to every request ended": 60.0,
    "database killed to the first refusal of new work": 1.0,
    "database killed, from its return to every request ended": 60.0,
    "database paused to the first refusal of new work": 1.0,
    "database paused, from its return to every request ended": 60.0,
    "disk full, from free space to the next answer": 10.0,
    "disk full, from free space to every request ended": 60.0,
    "added p99 of a request while Valkey is killed": 0.06,
    "added p99 of a request while Valkey is paused": 0.06,
}
"""Seconds, at the 99th percentile."""
LAST = list(BARS)[-1]
DELAY = 2.0
"""Seconds after the streams have begun, at most; the longest run for a few more."""
QUICK = 100
"""Requests whose 99th percentile is taken."""


Step = Callable[[], Coroutine[Any, Any, Figures]]


def run(rounds: int, figures: dict[str, list[float]], keep: Callable[[], None]) -> None:
    """Rounds until there are so many; `figures` grow, and `keep` is called after each round."""
    with postgres() as books, valkey() as counts, TemporaryDirectory() as folder:
        house = House(Path(folder), books, counts)
        with fresh_database(books) as database:
            installation = house.installation(database, {"ANTIPHON_PROCESSES": "2"})
            with installation.serve() as server:
                steps = [*house.shared(installation, server, database), *house.alone()]
                for _ in track(
                    range(len(figures.get(LAST, [])), rounds), "Rounds of the ledger", disable=None
                ):
                    for step in steps:
                        for name, seconds in asyncio.run(step()).items():
                            figures.setdefault(name, []).append(seconds)
                    keep()


class House:
    """Where installations are made: they have a PostgreSQL, a Valkey, and their models in common."""

    def __init__(self, folder: Path, books: PostgresServer, counts: ValkeyServer) -> None:
        self._folder, self._books, self._counts = folder, books, counts

    def installation(self, database: PostgresDatabase | None, settings: dict[str, str]) -> Installation:
        """A new one, on SQLite if there is no `database`."""
        settings = {**settings, "ANTIPHON_VALKEY": self._counts.url}
        if database is not None:
            settings["ANTIPHON_DATABASE"] = database.url
        return Installation(Path(mkdtemp(dir=self._folder)) / "home", settings, self._folder / "models")

    def shared(
        self, installation: Installation, server: Server, database: PostgresDatabase
    ) -> Iterator[Step]:
        """What breaks one server of two gateways, which mends each time."""
        broken = (installation, server)
        yield lambda: faults.one_gateway_killed(*broken, delay())
        yield lambda: faults.engine_killed(*broken, delay())
        for how, leave, seconds in (("killed", database.kill, 3), ("paused", database.stop, 10)):
            away = Away(how, leave, database.restart, seconds)
            yield lambda away=away: faults.database_away(*broken, delay(), away)
        counts = self._counts
        for how, leave in (("killed", counts.kill), ("paused", counts.stop), ("flushed", counts.flush)):
            away = Away(how, leave, counts.restart, 0)
            yield lambda away=away: faults.counts_away(*broken, delay(), away)
        for how, leave in (("killed", counts.kill), ("paused", counts.stop)):
            yield partial(added, server, Away(how, leave, counts.restart, 0))

    def alone(self) -> Iterator[Step]:
        """What takes a server of its own."""
        yield lambda: faults.gateway_killed(self.installation(None, {}), delay())
        yield self._killed_on_postgresql
        if os.geteuid() == 0:  # who may mount a small disk
            yield self._disk_full

    async def _killed_on_postgresql(self) -> Figures:
        with fresh_database(self._books) as database:
            return await faults.gateway_killed(self.installation(database, {}), delay())

    async def _disk_full(self) -> Figures:
        with faults.small_disk(Path(mkdtemp(dir=self._folder)) / "disk") as disk:
            installation = Installation(disk / "home", {}, self._folder / "models")
            with installation.serve() as server:
                return await faults.disk_full(installation, server, delay())


async def added(server: Server, away: Away) -> Figures:
    """What a request takes longer while Valkey is away."""
    async with session(server) as client:
        usual = await _percentile(client)
        await asyncio.to_thread(away.leave)
        try:
            unusual = await _percentile(client)
        finally:
            await asyncio.to_thread(away.back)
    return {f"added p99 of a request while Valkey is {away.how}": max(0.0, unusual - usual)}


def delay() -> float:
    return random.uniform(0, DELAY)


async def _percentile(client: aiohttp.ClientSession) -> float:
    """The 99th of the seconds that requests take."""
    seconds = []
    for _ in range(QUICK):
        began = time.monotonic()
        status, text = await ask(client, max_tokens=1)
        if status != 200:
            raise AssertionError(f"a request is answered with {status}: {text}")
        seconds.append(time.monotonic() - began)
    return statistics.quantiles(seconds, n=100)[98]

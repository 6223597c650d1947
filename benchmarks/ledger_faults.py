"""What may happen to the books: one fault in the midst of many streams, and how long its wound is open.

Each breaks something `delay` seconds after all streams have begun. It raises unless every stream ended as it
must, no request stayed open, the books are right, and they say what the clients saw. What it gives are
seconds, by the name of the figure.
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import aiohttp
import msgspec
from sqlalchemy import insert, select

from antiphon.storage.database import Database
from antiphon.storage.tables import api_key, rate_limit
from benchmarks.books import SNAPSHOT, Installation
from benchmarks.faults import all_served, ask, connections, engine_pid, gateway_pids, served, session, until
from benchmarks.processes import Server
from benchmarks.streams import End, Stream, crowd, ended

PATIENCE = 60.0
LIMIT = 6
"""Requests a day, where a limit is to be seen."""
UNASKED = 3
"""Requests that a busy machine may not ask Valkey about in the 50 ms there are, beyond those it should."""
TOO_LONG = [{"role": "user", "content": "word " * 300}]
DISK = "16m"
FULL_BYTES = 65_536
"""What is written at once to a disk that is to be full."""

Figures = dict[str, float]


class Away(NamedTuple):
    """How a server is made to go away (`how`, for people), and for how many seconds."""

    how: str
    leave: Callable[[], None]
    back: Callable[[], None]
    seconds: float


async def gateway_killed(installation: Installation, delay: float) -> Figures:
    """kill -9 of `antiphon serve` and of all its gateways; it is started again."""
    with installation.serve() as server:
        async with session(server) as client, crowd(client) as streams:
            await asyncio.sleep(delay)
            for pid in (*gateway_pids(server), server.pid):
                os.kill(pid, signal.SIGKILL)
            killed = time.monotonic()
            await ended(streams)
    _must(streams, "whole", "cut")
    with installation.serve():
        await installation.ended(streams)
        healed = time.monotonic() - killed
        await installation.check(streams)
    return {"gateway killed and started again to every request ended": healed}


async def one_gateway_killed(installation: Installation, server: Server, delay: float) -> Figures:
    """kill -9 of one of several gateways: the streams of the others go on."""
    async with session(server) as client, crowd(client) as streams:
        await asyncio.sleep(delay)
        # How connections spread is the system's affair: the one with the fewest, but not with none.
        held = {connections(server, gateway): gateway for gateway in gateway_pids(server)}
        os.kill(held[min(number for number in held if number)], signal.SIGKILL)
        killed = time.monotonic()
        await _until(lambda: any(stream.end == "cut" for stream in streams))
        await installation.ended([stream for stream in streams if stream.end == "cut"])
        healed = time.monotonic() - killed
        await ended(streams)
    _must(streams, "whole", "cut")
    await installation.check(streams)
    return {"one gateway of several killed to its requests ended": healed}


async def engine_killed(installation: Installation, server: Server, delay: float) -> Figures:
    """kill -9 of the chat engine: each stream ends as an error, and pays what was delivered."""
    async with session(server) as client, crowd(client) as streams:
        await asyncio.sleep(delay)
        os.kill(engine_pid(server), signal.SIGKILL)
        killed = time.monotonic()
        await ended(streams)
        await installation.ended(streams)
        healed = time.monotonic() - killed
        await until(lambda: all_served(client), PATIENCE)
    _must(streams, "whole", "failed")
    await installation.check(streams)
    return {"engine killed to every request ended": healed}


async def database_away(installation: Installation, server: Server, delay: float, away: Away) -> Figures:
    """The database is gone: running streams end whole, new work is refused until it is back."""
    async with session(server) as client, crowd(client) as streams:
        await asyncio.sleep(delay)
        await asyncio.to_thread(away.leave)
        left = time.monotonic()
        try:
            refused = await until(lambda: _refused(client), PATIENCE)
            await ended(streams)
            if await served(client):
                raise AssertionError("new work is taken without a database")
            await asyncio.sleep(max(0.0, left + away.seconds - time.monotonic()))
        finally:
            await asyncio.to_thread(away.back)
        returned = time.monotonic()
        await installation.ended(streams)
        healed = time.monotonic() - returned
        await until(lambda: all_served(client), PATIENCE)
    _must(streams, "whole")
    await installation.check(streams)
    return {
        f"database {away.how} to the first refusal of new work": refused,
        f"database {away.how}, from its return to every request ended": healed,
    }


async def counts_away(installation: Installation, server: Server, delay: float, away: Away) -> Figures:
    """Valkey is gone or has forgotten everything: requests go on, and limits hold within twice their size.

    Before that, they are the same for all gateways together.
    """
    key = await _limited_key(installation)
    async with session(server) as client, crowd(client) as streams:
        await asyncio.sleep(delay)
        taken = await _let_in(server, key)
        if not LIMIT <= taken <= LIMIT + UNASKED:
            raise AssertionError(f"with Valkey, a limit of {LIMIT} lets {taken} requests in")
        await asyncio.to_thread(away.leave)
        try:
            if not await served(client):
                raise AssertionError("new work is refused without Valkey")
            taken += await _let_in(server, key)
            if not LIMIT <= taken <= 2 * LIMIT + UNASKED:
                raise AssertionError(f"without Valkey, a limit of {LIMIT} lets {taken} requests in")
            await ended(streams)
        finally:
            await asyncio.to_thread(away.back)
    _must(streams, "whole")
    await installation.check(streams)
    return {}


async def disk_full(installation: Installation, server: Server, delay: float) -> Figures:
    """The data folder's disk is full: new work is refused, reads go on, and it mends without a restart."""
    ballast = installation.home / "ballast"
    async with session(server) as client, crowd(client) as streams:
        await asyncio.sleep(delay)
        await asyncio.to_thread(fill, ballast)
        try:
            refused = await until(lambda: _refused(client), PATIENCE)
            async with client.get("models") as response:
                if response.status != 200:
                    raise AssertionError(f"reading is refused with {response.status}")
            await ended(streams)
        finally:
            await asyncio.to_thread(ballast.unlink)
        freed = time.monotonic()
        await until(lambda: all_served(client), PATIENCE)
        again = time.monotonic() - freed
        await installation.ended(streams)
        healed = time.monotonic() - freed
    _must(streams, "whole", "failed")
    await installation.check(streams)
    return {
        "disk full to the first refusal of new work": refused,
        "disk full, from free space to the next answer": again,
        "disk full, from free space to every request ended": healed,
    }


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A small file system at `folder`. Raises `OSError` where it cannot be made: root may."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "none", folder]
    mounted = subprocess.run(mount, capture_output=True, text=True)
    if mounted.returncode:
        raise OSError(f"no small disk can be mounted: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(path: Path) -> None:
    """Write until there is no space left."""
    with path.open("wb", buffering=0) as file:
        for size in (FULL_BYTES, 1):
            try:
                while file.write(bytes(size)):
                    pass
            except OSError as problem:
                if problem.errno != errno.ENOSPC:
                    raise


def _must(streams: Sequence[Stream], *ends: End) -> None:
    wrong = [stream for stream in streams if stream.end not in ends]
    if wrong:
        raise AssertionError(f"streams may end {' or '.join(ends)}, not so: {wrong}")


async def _limited_key(installation: Installation) -> str:
    """The key of a new project that may send `LIMIT` requests a day."""
    name = f"limited {time.monotonic_ns()}"
    made = msgspec.json.decode(
        await installation.command("keys", "create", "--project", name, "--json"), type=dict[str, str]
    )
    of_key = select(api_key.c.project_id).where(api_key.c.id == made["id"])
    async with Database(installation.database) as database, database.begin() as connection:
        project_id = (await connection.execute(of_key)).scalar_one()
        row = {"project_id": project_id, "snapshot": SNAPSHOT, "requests_per_day": LIMIT}
        await connection.execute(insert(rate_limit).values(row))
    return made["value"]


async def _let_in(server: Server, key: str) -> int:
    """How many of more than twice `LIMIT` requests pass the limit; each has a connection of its own.

    They are too long for the model, so that no engine has work with them.
    """
    statuses = []
    async with session(replace(server, key=key)) as client:
        for _ in range(2 * LIMIT + UNASKED):
            body = {"model": SNAPSHOT, "messages": TOO_LONG}
            async with client.post("chat/completions", json=body, headers={"connection": "close"}) as answer:
                statuses.append(answer.status)
                told = answer.headers
                if answer.status == 429 and (
                    told["x-ratelimit-remaining-requests"] != "0" or int(told["retry-after"]) < 1
                ):
                    raise AssertionError(f"a refusal says {dict(told)}")
    if set(statuses) - {400, 429}:
        raise AssertionError(f"requests fail: {statuses}")
    return statuses.count(400)


async def _refused(client: aiohttp.ClientSession) -> bool:
    """Whether a chat request is refused now, since it could not be recorded."""
    status, text = await ask(client, max_tokens=1)
    if status not in (200, 503, 507):
        raise AssertionError(f"refused with {status}: {text}")
    return status != 200


async def _until(look: Callable[[], bool]) -> None:
    async def looked() -> bool:
        return look()

    await until(looked, PATIENCE)

"""Load on a whole server whose engines only keep time: organizations that ask, whatever comes back."""

from __future__ import annotations

import asyncio
import os
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager, contextmanager, nullcontext
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self

import aiohttp
import msgspec
import psutil
from tests.alone import alone

from benchmarks.figures import percentile
from benchmarks.isolation import Tenant
from benchmarks.processes import Server, antiphon

PROGRAM = (sys.executable, str(Path(__file__).parents[1] / "tests" / "paced_antiphon.py"))
SNAPSHOT = "smollm2-135m-instruct-2024-11-01"
PROMPT_SECONDS, TOKEN_SECONDS, TOKENS = 0.1, 0.02, 20
"""Of an engine's answer: half a second in all."""
ANSWER_SECONDS = PROMPT_SECONDS + TOKENS * TOKEN_SECONDS
SLOTS = 16
SETTINGS = {
    "PACED": f"token_delay={TOKEN_SECONDS},prompt_delay={PROMPT_SECONDS}",
    "ANTIPHON_REQUESTS_PER_MINUTE": "0",
    "ANTIPHON_TOKENS_PER_MINUTE": "0",
    "ANTIPHON_LOG_LEVEL": "warning",
}
"""Nobody is held back by a rate: what is left is what keeps organizations apart."""
PATIENCE = 60.0


class Caller(Protocol):
    """Who asks: a key, and where the API begins."""

    @property
    def key(self) -> str: ...
    @property
    def url(self) -> str: ...


class Asked(msgspec.Struct, frozen=True):
    """What became of one request. Seconds since it was sent: until the first text, and until the end."""

    status: int
    first: float
    took: float
    whole: bool
    retry_after: bool = False


@contextmanager
def paced(
    settings: dict[str, str] | None = None, more: str = "", also: Sequence[str] = (), *, pin: bool = True
) -> Iterator[Server]:
    """A server with one chat model, of which models.toml says `more`, and the aliases `also`.

    It has a core, its engines and clients the other, if it is to `pin` them.
    """
    with tempfile.TemporaryDirectory(prefix="antiphon-") as folder:
        home = alone(Path(folder) / "home", "gpt-3.5-turbo", *also)
        file = home / "models.toml"
        entry = f'[snapshots."{SNAPSHOT}"]\nengine = "llama"\nslots = {SLOTS}\n{more}\n'
        file.write_text(f"{entry}\n{file.read_text()}")
        with antiphon(home, SETTINGS | (settings or {}), program=PROGRAM) as server:
            with pinned(server) if pin else nullcontext():
                yield server


@contextmanager
def pinned(server: Server) -> Iterator[None]:
    """The gateway on one core, its engines and this process on another, where there are two."""
    cores = sorted(os.sched_getaffinity(0))
    gateway = psutil.Process(server.pid)
    for engine in gateway.children(recursive=True):
        engine.cpu_affinity(cores[1:] or cores)
    gateway.cpu_affinity(cores[:1])
    os.sched_setaffinity(0, cores[1:] or cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def tenants(server: Server, *names: str) -> list[Tenant]:
    return [Tenant(server, PROGRAM, name) for name in names]


@asynccontextmanager
async def client(key: str) -> AsyncIterator[aiohttp.ClientSession]:
    """A client with this key, and as many connections as it needs."""
    async with aiohttp.ClientSession(
        headers={"authorization": f"Bearer {key}"},
        timeout=aiohttp.ClientTimeout(total=PATIENCE),
        connector=aiohttp.TCPConnector(limit=0),
    ) as session:
        yield session


async def ask(session: aiohttp.ClientSession, url: str, **fields: Any) -> Asked:
    """One streamed answer."""
    body = {
        "model": SNAPSHOT,
        "messages": [{"role": "user", "content": "Tell me of the sea."}],
        "max_tokens": TOKENS,
        "stream": True,
        **fields,
    }
    began, first, whole = time.monotonic(), 0.0, False
    async with session.post(f"{url}/chat/completions", json=body) as answer:
        async for line in answer.content:
            if not first and b'"content":" ' in line:
                first = time.monotonic() - began
            whole = whole or line.startswith(b"data: [DONE]")
    took = time.monotonic() - began
    return Asked(answer.status, first or took, took, whole, "retry-after" in answer.headers)


async def offered(tenant: Caller, rate: float, seconds: float, seed: int = 0) -> list[Asked]:
    """So many requests a second at random moments, whether earlier ones were answered or not."""
    chance, tasks = random.Random(seed), []
    async with client(tenant.key) as session:
        began, due = time.monotonic(), 0.0
        while (due := due + chance.expovariate(rate)) < seconds:
            await asyncio.sleep(max(0.0, began + due - time.monotonic()))
            tasks.append(asyncio.create_task(ask(session, tenant.url)))
        return list(await asyncio.gather(*tasks))


async def asking(tenant: Caller, clients: int, seconds: float) -> list[Asked]:
    """So many clients that ask again as soon as they have their answer."""
    found: list[Asked] = []
    until = time.monotonic() + seconds

    async def again(session: aiohttp.ClientSession) -> None:
        while time.monotonic() < until:
            found.append(await ask(session, tenant.url))

    async with client(tenant.key) as session:
        await asyncio.gather(*(again(session) for _ in range(clients)))
    return found


class Generators:
    """Processes that ask, so that who measures does not wait for who is loud. Used as a context manager."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._pool = ProcessPoolExecutor(count, get_context("spawn"))

    def __enter__(self) -> Self:
        for _ in self._pool.map(time.sleep, [0.5] * self._count):  # each is there, and has imported all
            pass
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    async def offered(self, caller: Caller, rate: float, seconds: float, seed: int = 0) -> list[Asked]:
        return await self._run(_offered, caller.key, caller.url, rate, seconds, seed)

    async def asking(self, caller: Caller, clients: int, seconds: float) -> list[Asked]:
        return await self._run(_asking, caller.key, caller.url, clients, seconds)

    async def _run(self, work: Callable[..., list[Asked]], *given: object) -> list[Asked]:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *given)


class Key(NamedTuple):
    """A caller that is nothing else, and fits through a pipe."""

    key: str
    url: str


def _offered(key: str, url: str, rate: float, seconds: float, seed: int) -> list[Asked]:
    return asyncio.run(offered(Key(key, url), rate, seconds, seed))


def _asking(key: str, url: str, clients: int, seconds: float) -> list[Asked]:
    return asyncio.run(asking(Key(key, url), clients, seconds))


def served(found: Sequence[Asked]) -> list[Asked]:
    """Those with a whole answer."""
    return [one for one in found if one.status == 200 and one.whole]


def refused(found: Sequence[Asked]) -> list[Asked]:
    return [one for one in found if one.status in (429, 503)]


def p99(seconds: Sequence[float]) -> float:
    """Raises `ValueError` if there are none: no figure is made of nothing."""
    if not seconds:
        raise ValueError("nothing was measured")
    return percentile(seconds, 99)

"""What it takes to break a running Antiphon and to watch it mend; shared with the end-to-end tests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import psutil

from benchmarks.processes import OPENVINO, Server, chat_engine, engine_process, flag

ENDLESS = {"temperature": 0, "max_tokens": 1800}
SHORT = [{"role": "user", "content": "Say this again and again, without an end: go go go go go go go go"}]
"""The model goes on until it is stopped, or for a minute, with `ENDLESS`."""
LONG = [{"role": "user", "content": "word " * 6000}]


@asynccontextmanager
async def session(server: Server) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of the server, with its key."""
    headers = {"authorization": f"Bearer {server.key}"}
    timeout = aiohttp.ClientTimeout(total=120)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(
        f"{server.root}/v1/", headers=headers, timeout=timeout, connector=connector
    ) as opened:
        yield opened


async def ask(client: aiohttp.ClientSession, **fields: Any) -> tuple[int, str]:
    """Status and body of a chat request that never ends by itself, unless `fields` say otherwise."""
    body = {"model": "gpt-3.5-turbo", "messages": SHORT, **ENDLESS, **fields}
    async with client.post("chat/completions", json=body) as response:
        return response.status, await response.text()


async def busy_slots(server: Server, engine: str = "") -> int:
    """Requests in a chat engine, by its own account; in the one that always runs, unless one is named."""
    engine = engine or chat_engine(server)
    socket = flag(engine_process(server, engine).cmdline(), "--listen").removeprefix("unix:")
    connector = aiohttp.UnixConnector(socket, force_close=True)
    async with aiohttp.ClientSession("http://engine/", connector=connector) as client:
        if engine == OPENVINO:
            async with client.get("load") as response:
                load = await response.json()
                return int(load["running"] + load["waiting"])
        # What /slots says is only renewed by what passes through the loop that computes; this does.
        async with client.get("lora-adapters"):
            pass
        async with client.get("slots") as response:
            return sum(slot["is_processing"] for slot in await response.json())


def slots(server: Server) -> int:
    """Requests that the chat engine is given at once."""
    return int(flag(engine_process(server, chat_engine(server)).cmdline(), "--slots"))


async def waiting(client: aiohttp.ClientSession) -> int:
    """Requests that wait for a place."""
    async with client.get("/metrics") as response:
        lines = (await response.text()).splitlines()
    readings = [line for line in lines if line.startswith("antiphon_waiting_requests{")]
    return sum(int(float(reading.split()[-1])) for reading in readings)


async def until(look: Callable[[], Awaitable[bool]], seconds: float) -> float:
    """Seconds until `look` is true. Raises `TimeoutError` when that takes longer than `seconds`."""
    began = time.monotonic()
    while not await look():
        if time.monotonic() - began > seconds:
            raise TimeoutError(f"not within {seconds} s")
        await asyncio.sleep(0.02)
    return time.monotonic() - began


async def equal(reading: Awaitable[int], wanted: int) -> bool:
    return await reading == wanted


async def leave(task: asyncio.Task[Any]) -> None:
    """Close the client's connection, as a client does that no longer wants an answer."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def served(client: aiohttp.ClientSession) -> bool:
    """Whether a chat request is answered now."""
    return (await ask(client, max_tokens=2))[0] == 200


async def all_served(client: aiohttp.ClientSession) -> bool:
    """Whether many at once are answered now, whichever of several gateways their connections come to."""
    return all(await asyncio.gather(*(served(client) for _ in range(16))))


def engine_pid(server: Server) -> int:
    """The process of the chat engine."""
    return engine_process(server, chat_engine(server)).pid


def gateway_pids(server: Server) -> set[int]:
    """The gateway processes, where there are several."""
    children = psutil.Process(server.pid).children()
    return {child.pid for child in children if "antiphon.cli.gateway" in child.cmdline()}


def connections(server: Server, gateway: int) -> int:
    """How many connections of clients in this process a gateway holds: the server's own probes are others."""
    own = {
        c.laddr.port for c in psutil.Process().net_connections("tcp4") if c.status == psutil.CONN_ESTABLISHED
    }
    held = psutil.Process(gateway).net_connections("tcp4")
    port = urlsplit(server.url).port
    return sum(c.laddr.port == port and bool(c.raddr) and c.raddr.port in own for c in held)

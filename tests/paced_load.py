"""Clients of an Antiphon with paced engines, and commands beside it: for restarts and upgrades under load."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx
from benchmarks.processes import Server

from until import until

PROGRAM = (sys.executable, str(Path(__file__).with_name("paced_antiphon.py")))
CLIENTS = 6


class Load:
    """Clients that ask one request after the other over connections that they keep; half of them stream."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.answers = 0
        self.failures: list[str] = []
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Load:
        self._tasks = [asyncio.create_task(self._ask(stream=n % 2 == 0)) for n in range(CLIENTS)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        await asyncio.gather(*self._tasks)

    async def more(self) -> None:
        """Return once each client has had some more answers."""
        wanted = self.answers + 3 * CLIENTS
        await until(lambda: self.answers >= wanted or self.failures, 60)

    async def _ask(self, stream: bool) -> None:
        async with client(self._server) as session:
            while not self._stop.is_set():
                try:
                    response = await session.post("/chat/completions", json=asked(20, stream))
                except httpx.HTTPError as problem:
                    self.failures.append(repr(problem))
                    continue
                whole = response.text.count(" word") == 20 and "[DONE]" in response.text
                if response.status_code == 200 and (whole or not stream):
                    self.answers += 1
                else:
                    self.failures.append(response.text)


def client(server: Server) -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {server.key}"}
    return httpx.AsyncClient(base_url=server.url, headers=headers, timeout=120)


def asked(tokens: int, stream: bool = False) -> dict[str, object]:
    messages = [{"role": "user", "content": "x"}]
    return {"model": "paced", "max_tokens": tokens, "stream": stream, "messages": messages}


async def command(
    server: Server, *words: str, program: Sequence[str] = PROGRAM, settings: Mapping[str, str] = {}
) -> tuple[int, str]:
    """The exit code of a command beside the running server, and all that it printed."""
    process = await asyncio.create_subprocess_exec(
        *program,
        *words,
        env={**os.environ, "ANTIPHON_HOME": str(server.home), **settings},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(90):
        text, _ = await process.communicate()
    return process.returncode or 0, text.decode()

"""`python -m benchmarks.isolation`: what others' load does to an organization with an instance of its own.

Two organizations ask one server in turns: the one with an instance alone, then beside ten times its load on
the shared service. What is compared are its own answers, by their 99th percentile. With `--engines paced`
engines only keep time, on the processors that are theirs; with `--engines real` they compute, and share the
machine's memory and caches.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
from rich.console import Console
from rich.progress import track

from benchmarks.faults import until
from benchmarks.figures import percentile
from benchmarks.machine import machine
from benchmarks.processes import Server, antiphon

RESULTS = Path(__file__).parent / "results" / "isolation.json"
PACED = (sys.executable, str(Path(__file__).parents[1] / "tests" / "e2e" / "paced.py"))
REAL = (str(Path(sys.executable).with_name("antiphon")),)
SNAPSHOT = "smollm2-135m-instruct-2024-11-01"
MODELS = f"""
[snapshots."{SNAPSHOT}"]
slots = 16

[snapshots."{SNAPSHOT}".dedicated]
price_per_hour = "1"

[aliases]
"whisper-1" = {{ snapshot = "{SNAPSHOT}" }}
"""
"""No speech engine, which would only take time."""
SETTINGS = {
    "PACED": "token_delay=0.02",
    "ANTIPHON_REQUESTS_PER_MINUTE": "0",
    "ANTIPHON_TOKENS_PER_MINUTE": "0",
    "ANTIPHON_QUEUE_PER_ORGANIZATION": "1000",
    "ANTIPHON_LOG_LEVEL": "warning",
}
CLIENTS, CROWD = 2, 20
TOKENS = 20
SECONDS = 20.0
READY_SECONDS = 120.0
BAR = 1.25


class Tenant:
    """An organization, and its key for requests."""

    def __init__(self, server: Server, program: Sequence[str], name: str) -> None:
        self._words, self._home, self.name = program, server.home, name
        self.said("orgs", "create", name)
        self.key = self.said("keys", "create", "--org", name)
        self.url = server.url

    def said(self, *words: str) -> str:
        command = [*self._words, *words, "--home", str(self._home)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    async def load(self, clients: int, seconds: float) -> list[float]:
        """How long each answer took, of so many clients that ask again and again."""
        took: list[float] = []
        until = time.monotonic() + seconds
        headers = {"authorization": f"Bearer {self.key}"}
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(headers=headers, connector=connector) as session:

            async def ask() -> None:
                while time.monotonic() < until:
                    began = time.monotonic()
                    async with session.post(f"{self.url}/chat/completions", json=_body()) as answer:
                        text = await answer.text()
                        assert answer.status == 200, text
                    took.append(time.monotonic() - began)

            await asyncio.gather(*(ask() for _ in range(clients)))
        return took


def _body() -> dict[str, Any]:
    messages = [{"role": "user", "content": "Tell me of the sea."}]
    return {"model": SNAPSHOT, "messages": messages, "max_tokens": TOKENS}


async def run(server: Server, program: Sequence[str], rounds: int) -> dict[str, Any]:
    own, others = (Tenant(server, program, name) for name in ("own", "others"))
    own.said("dedicated", "create", SNAPSHOT, "--org", "own", "--load", "4")
    await _ready(own)
    alone, beside, crowd = [], [], 0
    for _ in track(range(rounds), description="Rounds", disable=None):
        alone.append(percentile(await own.load(CLIENTS, SECONDS), 99))
        mine, theirs = await asyncio.gather(own.load(CLIENTS, SECONDS), others.load(CROWD, SECONDS))
        beside.append(percentile(mine, 99))
        crowd += len(theirs)
    ratio = statistics.median(b / a for a, b in zip(alone, beside, strict=True))
    return {"alone, p99 s": alone, "beside, p99 s": beside, "answers to others": crowd, "ratio": ratio}


async def _ready(own: Tenant) -> None:
    async def ready() -> bool:
        [shown] = json.loads(own.said("dedicated", "list", "--org", own.name, "--json"))
        return bool(shown["ready"] == "1/1")

    await until(ready, READY_SECONDS)
    await own.load(CLIENTS, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engines", choices=("paced", "real"), default="paced")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    program = PACED if given.engines == "paced" else REAL
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        home.mkdir()
        (home / "models.toml").write_text(MODELS)
        with antiphon(home, SETTINGS, program=program) as server:
            found = asyncio.run(run(server, program, given.rounds))
    every = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    every |= {"machine": machine(), given.engines: found}
    RESULTS.write_text(json.dumps(every, indent=1) + "\n")
    reached = "reached" if found["ratio"] <= BAR else "missed"
    Console().print(f"p99 beside others is {found['ratio']:.2f}x of alone (bar {BAR}x: {reached})")


if __name__ == "__main__":
    main()

"""`make cancels`: thousands of clients that leave at random moments, while others stay.

Every answer is known beforehand, letter by letter: a schema leaves the model nothing to choose. A token of
another's answer would show at once, and so would one that is lost. At the end no engine may still hold a
request. Each case follows from its seed. A run that was cut off goes on where it stopped.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from rich.console import Console
from rich.progress import track

from benchmarks.faults import busy_slots, equal, session, until, waiting
from benchmarks.machine import machine
from benchmarks.processes import LLAMA, OPENVINO, Server, antiphon, engine_process

RESULTS = Path(__file__).parent / "results" / "cancels.json"
CLIENTS = 24
LETTERS = 60
STAY = 0.1
"""The share of clients that read to the end."""
ELSEWHERE = 0.15
"""The share of requests that only the engine with log probabilities takes."""
SECONDS = 3.0
"""Mean time until a client leaves."""
FREE_SECONDS = 10.0
PART = 250
"""Cases after which no place may be taken, and what was found is written."""
SETTINGS = {
    "ANTIPHON_REQUESTS_PER_MINUTE": "0",
    "ANTIPHON_TOKENS_PER_MINUTE": "0",
    "ANTIPHON_QUEUE_SECONDS": "120",
    "ANTIPHON_QUEUE_PER_ORGANIZATION": str(CLIENTS),
    "ANTIPHON_LOG_LEVEL": "warning",
}


class _Delta(msgspec.Struct, frozen=True):
    content: str | None = None


class _Choice(msgspec.Struct):
    delta: _Delta = _Delta()
    message: _Delta = _Delta()


class _Answer(msgspec.Struct):
    choices: list[_Choice] = []
    error: dict[str, Any] | None = None


class Case:
    """One client: what it asks, when it leaves, and what it must be told."""

    def __init__(self, seed: int) -> None:
        chance = random.Random(seed)
        self.seed = seed
        self.word = "".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=LETTERS))
        self.stream = chance.random() < 0.8
        self.stays = chance.random() < STAY
        self.leaves = chance.expovariate(1 / SECONDS)
        self.elsewhere = chance.random() < ELSEWHERE
        self.system = "You repeat words. " * chance.choice((0, 1, 40))

    @property
    def body(self) -> dict[str, Any]:
        schema = {
            "type": "object",
            "properties": {"word": {"enum": [self.word]}},
            "required": ["word"],
            "additionalProperties": False,
        }
        messages = [{"role": "user", "content": f"Repeat: {self.word}"}]
        if self.system:
            messages.insert(0, {"role": "system", "content": self.system})
        return {
            "model": "gpt-3.5-turbo",
            "messages": messages,
            "stream": self.stream,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "word", "schema": schema, "strict": True},
            },
            **({"logprobs": True} if self.elsewhere else {}),
        }

    def check(self, told: str, *, whole: bool) -> None:
        """Raises `AssertionError` for a letter that is not of this answer, or that is missing."""
        expected = json.dumps({"word": self.word}, separators=(",", ":"))
        letters = "".join(told.split())
        assert expected.startswith(letters), f"seed {self.seed}: {letters!r} instead of {expected!r}"
        assert not whole or letters == expected, f"seed {self.seed}: only {letters!r} of {expected!r}"


async def one(client: aiohttp.ClientSession, case: Case) -> str:
    """What became of a case: `whole`, or where its client left."""
    told: list[str] = []
    reading = asyncio.create_task(_read(client, case, told))
    if not case.stays:
        with suppress(TimeoutError):
            async with asyncio.timeout(case.leaves):
                await asyncio.shield(reading)
        reading.cancel()
    done = (await asyncio.gather(reading, return_exceptions=True))[0]
    if isinstance(done, Exception):
        raise done
    whole = done is None
    case.check("".join(told), whole=whole)
    return "whole" if whole else "left midway" if told else "left before the first token"


async def _read(client: aiohttp.ClientSession, case: Case, told: list[str]) -> None:
    async with client.post("chat/completions", json=case.body) as response:
        if response.status != 200:
            raise AssertionError(f"seed {case.seed}: {response.status} {await response.text()}")
        ended = not case.stream
        async for line in response.content:
            ended = ended or line.startswith(b"data: [DONE]")
            content = line.removeprefix(b"data: ").strip()
            if content.startswith(b"{"):
                answer = msgspec.json.decode(content, type=_Answer)
                assert not answer.error, f"seed {case.seed}: {answer.error}"
                told += [(c.delta.content or "") + (c.message.content or "") for c in answer.choices]
        assert ended, f"seed {case.seed}: a stream without an end"


async def run(server: Server, first: int, cases: int) -> Counter[str]:
    """Raises `AssertionError` where an answer is not what it must be, `TimeoutError` if a place leaks."""
    found: Counter[str] = Counter()
    async with session(server) as client:
        seeds: Iterator[int] = iter(track(range(first, first + cases), description="Clients", disable=None))

        async def work() -> None:
            for seed in seeds:
                found[await one(client, Case(seed))] += 1

        async with asyncio.TaskGroup() as group:
            for _ in range(CLIENTS):
                group.create_task(work())
        await until(lambda: equal(waiting(client), 0), FREE_SECONDS)
    for engine in (OPENVINO, LLAMA):
        if runs(server, engine):
            await until(lambda engine=engine: equal(busy_slots(server, engine), 0), FREE_SECONDS)
    return found


def runs(server: Server, engine: str) -> bool:
    with suppress(RuntimeError):
        engine_process(server, engine)
        return True
    return False


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cancels", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="the first case")
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    found = _before(given)
    with tempfile.TemporaryDirectory() as folder, antiphon(Path(folder) / "home", SETTINGS) as server:
        while (done := sum(found["clients"].values())) < given.cases:
            began = time.monotonic()
            part = asyncio.run(run(server, given.seed + done, min(PART, given.cases - done)))
            found["clients"] = dict(sorted((Counter(found["clients"]) + part).items()))
            found["seconds"] += round(time.monotonic() - began)
            given.out.parent.mkdir(parents=True, exist_ok=True)
            given.out.write_text(json.dumps(found, indent=1) + "\n")
    Console().print(found)


def _before(given: argparse.Namespace) -> dict[str, Any]:
    """What an earlier run from the same seed found, which is gone on with; nothing, if that was whole."""
    command = f"python -m benchmarks.cancels --seed {given.seed} --cases {given.cases}"
    if given.out.exists():
        found: dict[str, Any] = json.loads(given.out.read_text())
        if found["command"] == command and sum(found["clients"].values()) < given.cases:
            return found
    return {"machine": machine(), "command": command, "clients": {}, "seconds": 0}


if __name__ == "__main__":
    main()

"""Chat: the same streamed requests to two addresses, by 1, 4 and 16 clients at once."""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

COMPLETION_TOKENS = 128
PROMPT_WORDS = 170
"""With the chat template, 200 tokens."""
LEAST_REQUESTS = 4
"""In a round; fewer clients send several in turn."""
REQUEST_SECONDS = 300.0
END_OF_TURN = "2"
"""Forbidden, so that every answer has its full length: `<|im_end|>` of the bundled model."""
WORDS = (
    "time person year way day thing man world life hand part child eye woman place work week case point "
    "government company number group problem fact house water room mother area money story month lot right "
    "study book job word business issue side kind head service friend father power hour game line end law "
    "car city name team minute idea body back parent face level office door health art war history party"
).split()


@dataclass(frozen=True)
class Target:
    """One side of the comparison: a server that answers `/v1/chat/completions`."""

    name: str
    url: str
    model: str
    key: str = ""
    socket: Path | None = None

    def session(self) -> aiohttp.ClientSession:
        # llama.cpp promises to keep connections, and closes them after a stream.
        connector = aiohttp.UnixConnector(str(self.socket), force_close=True) if self.socket else None
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
        return aiohttp.ClientSession(connector=connector, headers=headers, timeout=timeout)


@dataclass(frozen=True)
class Answer:
    first: float
    """Seconds from the request to its first piece of text."""
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True)
class Measured:
    """Medians over the rounds of one side with one number of clients."""

    target: str
    clients: int
    tokens_per_second: float
    first_token_seconds: float
    prompt_tokens: float
    tokens_per_second_rounds: list[float]


async def compare(
    targets: tuple[Target, Target], clients: tuple[int, ...], rounds: int, step: Callable[[], None]
) -> list[Measured]:
    """Measure both sides in turn, `rounds` times, the first of a round alternating; `step` marks progress."""
    found: list[Measured] = []
    for target in targets:  # once unmeasured: first calls pay for what later ones reuse
        await _round(target, clients=LEAST_REQUESTS, seed="warm-up")
    for count in clients:
        rates: dict[str, list[float]] = {target.name: [] for target in targets}
        answers: dict[str, list[Answer]] = {target.name: [] for target in targets}
        for number in range(rounds):
            for target in targets if number % 2 == 0 else targets[::-1]:
                rate, given = await _round(target, count, seed=f"{count}-{number}")
                rates[target.name].append(rate)
                answers[target.name] += given
                step()
        found += [_summary(t.name, count, rates[t.name], answers[t.name]) for t in targets]
    return found


def _summary(target: str, clients: int, rates: list[float], answers: list[Answer]) -> Measured:
    return Measured(
        target=target,
        clients=clients,
        tokens_per_second=statistics.median(rates),
        first_token_seconds=statistics.median(answer.first for answer in answers),
        prompt_tokens=statistics.median(answer.prompt_tokens for answer in answers),
        tokens_per_second_rounds=rates,
    )


async def _round(target: Target, clients: int, seed: str) -> tuple[float, list[Answer]]:
    """Completion tokens a second over `clients` at once, and the answers."""
    requests = max(1, LEAST_REQUESTS // clients)
    async with target.session() as session:
        begun = time.perf_counter()
        turns = (_in_turn(session, target, f"{seed}-{client}", requests) for client in range(clients))
        answers = [answer for given in await asyncio.gather(*turns) for answer in given]
        seconds = time.perf_counter() - begun
    return sum(answer.completion_tokens for answer in answers) / seconds, answers


async def _in_turn(session: aiohttp.ClientSession, target: Target, seed: str, requests: int) -> list[Answer]:
    bodies = [_body(target.model, f"{seed}-{number}") for number in range(requests)]
    return [await _ask(session, target.url, body) for body in bodies]


def _body(model: str, seed: str) -> dict[str, Any]:
    """The same prompt for the same seed; different ones share no beginning that an engine could reuse."""
    words = random.Random(seed).choices(WORDS, k=PROMPT_WORDS)
    return {
        "model": model,
        "messages": [{"role": "user", "content": " ".join(words)}],
        "temperature": 0,
        "max_tokens": COMPLETION_TOKENS,
        "logit_bias": {END_OF_TURN: -100},
        "stream": True,
        "stream_options": {"include_usage": True},
    }


async def _ask(session: aiohttp.ClientSession, url: str, body: dict[str, Any]) -> Answer:
    begun = time.perf_counter()
    first = 0.0
    usage: dict[str, int] = {}
    async with session.post(f"{url}/chat/completions", json=body) as answer:
        if answer.status != 200:
            raise RuntimeError(f"{url} answered {answer.status}: {await answer.text()}")
        async for line in answer.content:
            if not line.startswith(b"data: {"):
                continue
            chunk = msgspec.json.decode(line[6:])
            usage = chunk.get("usage") or usage
            if not first and any(choice["delta"].get("content") for choice in chunk["choices"]):
                first = time.perf_counter() - begun
    return Answer(first, usage["prompt_tokens"], usage["completion_tokens"])

"""One client of `/v1/chat/completions`: streams an answer and looks at the clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import aiohttp
import msgspec

from benchmarks.chat.values import Round
from benchmarks.figures import percentile

REQUEST_SECONDS = 900.0


class Target(msgspec.Struct, frozen=True):
    """A server that answers: `url` ends with `/v1`."""

    url: str
    model: str
    key: str = ""
    processes: tuple[int, ...] = ()
    """Whose memory counts."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Times in seconds from the request; of each piece of text one."""

    text: str
    times: list[float]
    prompt_tokens: int
    completion_tokens: int


class _Delta(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    delta: _Delta


class _Used(msgspec.Struct):
    prompt_tokens: int
    completion_tokens: int


class _Chunk(msgspec.Struct):
    choices: list[_Choice] = []
    usage: _Used | None = None


def session(target: Target) -> aiohttp.ClientSession:
    # llama.cpp promises to keep connections, and closes them after a stream.
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    headers = {"Authorization": f"Bearer {target.key}"} if target.key else {}
    timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
    return aiohttp.ClientSession(connector=connector, headers=headers, timeout=timeout)


def body(target: Target, messages: Sequence[dict[str, str]], most: int) -> dict[str, Any]:
    """A greedy request for at most so many tokens."""
    return {
        "model": target.model,
        "messages": list(messages),
        "temperature": 0,
        "max_tokens": most,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


async def ask(session: aiohttp.ClientSession, target: Target, asked: dict[str, Any]) -> Answer:
    """Raises `RuntimeError` unless the answer is whole. An empty one came with its end."""
    begun = time.perf_counter()
    pieces: list[str] = []
    times: list[float] = []
    usage: _Used | None = None
    done = False
    async with session.post(f"{target.url}/chat/completions", json=asked) as answer:
        if answer.status != 200:
            raise RuntimeError(f"{target.url} answered {answer.status}: {await answer.text()}")
        async for line in answer.content:
            done = done or line.startswith(b"data: [DONE]")
            if line.startswith(b"data: {"):
                chunk = msgspec.json.decode(line[6:], type=_Chunk)
                usage = chunk.usage or usage
                if text := "".join(choice.delta.content or "" for choice in chunk.choices):
                    pieces.append(text)
                    times.append(time.perf_counter() - begun)
    if usage is None or not done:
        raise RuntimeError(f"{target.url} did not answer to the end")
    return Answer(
        text="".join(pieces),
        times=times or [time.perf_counter() - begun],
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
    )


async def in_turn(target: Target, asked: Sequence[dict[str, Any]]) -> list[Answer]:
    """One client, one request after the other."""
    async with session(target) as opened:
        return [await ask(opened, target, one) for one in asked]


async def at_once(target: Target, asked: Sequence[Sequence[dict[str, Any]]]) -> Round:
    """As many clients as there are lists, each of which sends its requests in turn."""
    begun = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(in_turn(target, one)) for one in asked]
    seconds = time.perf_counter() - begun
    return summary(seconds, [answer for task in tasks for answer in task.result()])


def summary(seconds: float, answers: Sequence[Answer]) -> Round:
    firsts = [answer.times[0] for answer in answers]
    gaps = [
        after - before
        for answer in answers
        for before, after in zip(answer.times, answer.times[1:], strict=False)
    ] or [0.0]
    return Round(
        seconds=seconds,
        prompt_tokens=round(percentile([answer.prompt_tokens for answer in answers], 50)),
        completion_tokens=sum(answer.completion_tokens for answer in answers),
        first_p50=percentile(firsts, 50),
        first_p99=percentile(firsts, 99),
        gap_p50=percentile(gaps, 50),
        gap_p99=percentile(gaps, 99),
    )

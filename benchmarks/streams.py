"""Many streams at once, as their clients see them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

import aiohttp
import msgspec

from benchmarks.faults import ENDLESS, SHORT, leave, until

STREAMS = 32
MOST = 40
"""Tokens of the first stream; each of the others has one less than that before it."""
START_SECONDS = 60.0
END_SECONDS = 120.0

End = Literal["running", "whole", "failed", "refused", "cut", "unmarked"]
"""`whole`: up to `[DONE]`. `failed`: an error event. `refused`: a plain error. `cut`: the connection broke.
`unmarked`: it ended as if it were whole, and was not, which must never be."""


class _Delta(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    delta: _Delta
    finish_reason: str | None = None


class _Used(msgspec.Struct):
    prompt_tokens: int
    completion_tokens: int


class _Error(msgspec.Struct):
    code: str | None


class _Event(msgspec.Struct):
    choices: list[_Choice] = []
    usage: _Used | None = None
    error: _Error | None = None


class Stream:
    """One streamed answer of `tokens` tokens, or fewer where the model ends it by itself."""

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens
        self.end: End = "running"
        self.status = 0
        self.id = ""
        """The request's id, once there is an answer."""
        self.code: str | None = None
        """Of the error event, if there was one."""
        self.pieces = 0
        """Events with text."""
        self.finish: str | None = None
        """Why the model ended: `length` at `tokens`, `stop` before."""
        self.usage: tuple[int, int] | None = None
        """Tokens of the prompt and of the answer, as the last chunk says."""

    def __repr__(self) -> str:
        end = f"{self.end} {self.code} {self.finish}"
        return f"<{self.id} {self.status} {end} {self.pieces}/{self.tokens} {self.usage}>"

    async def read(self, client: aiohttp.ClientSession) -> None:
        body = {"model": "gpt-3.5-turbo", "messages": SHORT, **ENDLESS, "max_tokens": self.tokens}
        body |= {"stream": True, "stream_options": {"include_usage": True}}
        try:
            async with client.post("chat/completions", json=body) as response:
                self.status, self.id = response.status, response.headers.get("x-request-id", "")
                async for line in response.content:
                    self._see(line)
        except aiohttp.ClientError:
            self.end = "cut"
        else:
            if self.end == "running":
                self.end = "unmarked" if self.status == 200 else "refused"

    def _see(self, line: bytes) -> None:
        data = line.strip().removeprefix(b"data: ")
        if data == b"[DONE]":
            self.end = "whole"
        elif self.status == 200 and data:
            event = msgspec.json.decode(data, type=_Event)
            for choice in event.choices:
                self.pieces += bool(choice.delta.content)
                self.finish = choice.finish_reason or self.finish
            if event.usage:
                self.usage = (event.usage.prompt_tokens, event.usage.completion_tokens)
            if event.error:
                self.end, self.code = "failed", event.error.code


@asynccontextmanager
async def crowd(client: aiohttp.ClientSession) -> AsyncIterator[list[Stream]]:
    """The streams, once each of them has begun; those that still run are left at the end."""
    streams = [Stream(MOST - number) for number in range(STREAMS)]
    tasks = [asyncio.create_task(stream.read(client)) for stream in streams]
    try:
        await until(lambda: _all(streams, begun=True), START_SECONDS)
        if not all(stream.pieces for stream in streams):
            raise RuntimeError(f"not every stream began: {streams}")
        yield streams
    finally:
        for task in tasks:
            await leave(task)


async def ended(streams: list[Stream], seconds: float = END_SECONDS) -> float:
    """Seconds until none runs any more. Raises `TimeoutError` when that takes longer than `seconds`."""
    return await until(lambda: _all(streams, begun=False), seconds)


async def _all(streams: list[Stream], *, begun: bool) -> bool:
    return all(stream.end != "running" or (begun and stream.pieces > 0) for stream in streams)

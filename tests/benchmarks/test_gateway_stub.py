"""The stub upstream: right in both shapes, at once and paced."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from benchmarks.gateway import stub
from benchmarks.gateway.client import Failed
from benchmarks.gateway.measure import Target
from benchmarks.gateway.proof import prove, streamed

from antiphon.address import Address
from antiphon.engines.upstream import Upstream

PERIOD = 0.02


@asynccontextmanager
async def serving(period: float = PERIOD) -> AsyncIterator[int]:
    """The port of a stub in this loop."""
    loop = asyncio.get_running_loop()
    async with await loop.create_server(lambda: stub.Exchange(period), "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


@pytest.fixture
async def port() -> AsyncIterator[int]:
    async with serving() as port:
        yield port


async def ask(port: int, tokens: int, *, stream: bool) -> str:
    body = {"model": "stub-0", "messages": [], "max_tokens": tokens, "stream": stream}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"http://127.0.0.1:{port}/v1/chat/completions", json=body) as answer,
    ):
        assert answer.status == 200
        return await answer.text()


async def test_a_whole_answer_says_as_many_tokens_as_were_asked_for(port: int) -> None:
    answer = msgspec.json.decode(await ask(port, 3, stream=False))
    assert answer["choices"][0]["message"] == {"role": "assistant", "content": " word0 word1 word2"}
    assert answer["usage"]["completion_tokens"] == 3


@pytest.mark.parametrize("tokens", [1, stub.AT_ONCE, stub.AT_ONCE + 1])
async def test_a_stream_says_the_same_and_ends_as_it_should(port: int, tokens: int) -> None:
    body = await ask(port, tokens, stream=True)
    assert streamed(body) == stub.text(tokens)
    assert body.count("data: ") == tokens + 2  # the finish reason, and the mark of the end
    assert body.endswith("data: [DONE]\n\n")


async def test_a_long_answer_keeps_its_pace(port: int) -> None:
    began = time.monotonic()
    await ask(port, stub.AT_ONCE + 1, stream=True)
    assert time.monotonic() - began > stub.AT_ONCE * PERIOD - 0.01


@asynccontextmanager
async def engine(folder: Path) -> AsyncIterator[Upstream]:
    loop = asyncio.get_running_loop()
    path = folder / "s.sock"
    async with await loop.create_unix_server(lambda: stub.Exchange(PERIOD), str(path)):
        client = Upstream(Address(path=str(path)))
        yield client
        await client.close()


async def test_it_answers_as_llama_cpp_does(tmp_path: Path) -> None:
    async with engine(tmp_path) as client:
        assert await client.get("/lora-adapters") == b"[]"
        tokens = msgspec.json.decode(await client.post("/tokenize", {"content": ["a"]}))["tokens"]
        frames: list[Any] = [
            msgspec.json.decode(event)
            async for batch in client.batches("/completion", {"n_predict": 3, "stream": True})
            for event in batch
        ]
        assert "".join(frame["content"] for frame in frames) == stub.text(3)
        assert [frame["tokens_predicted"] for frame in frames] == [1, 2, 3, 3]
        assert frames[-1]["stop_type"] == "limit" and frames[-1]["tokens_evaluated"] == len(tokens)


async def test_a_side_that_says_something_else_is_found_out(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = Target(address=("127.0.0.1", port), key="sk-any")
    await prove(target)
    with pytest.raises(Failed, match="wrong key"):  # the stub looks at no key
        await prove(msgspec.structs.replace(target, processes=(1,)))
    monkeypatch.setattr("benchmarks.gateway.proof.text", lambda tokens: "something else")
    with pytest.raises(Failed, match="an answer with 200"):
        await prove(target)


async def test_a_side_that_is_not_there_is_found_out(port: int) -> None:
    async with serving() as gone:
        pass
    with pytest.raises(Failed, match="no answer"):
        await prove(Target(address=("127.0.0.1", gone), key="sk-any"))

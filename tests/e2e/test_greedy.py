"""At temperature 0, answers of the engine `llama` are those of llama.cpp's own server, byte for byte.

Log probabilities are asked for, since they are what it is chosen for where another engine is preferred.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
import msgspec
import openai
import pytest
from benchmarks.processes import LLAMA, Server, engine

SECONDS = aiohttp.ClientTimeout(total=120)
CONVERSATIONS: dict[str, list[dict[str, str]]] = {
    "question": [{"role": "user", "content": "Why is the sky blue?"}],
    "system": [
        {"role": "system", "content": "You are a pirate. Answer like one."},
        {"role": "user", "content": "Where is the treasure?"},
    ],
    "turns": [
        {"role": "user", "content": "My name is Ada."},
        {"role": "assistant", "content": "Nice to meet you, Ada!"},
        {"role": "user", "content": "What is my name?"},
    ],
    "unicode": [{"role": "user", "content": "Übersetze: „Grüße aus 東京“ 👋🏽 naïve café"}],
    "space": [{"role": "user", "content": "\n\n  Continue this list:\n\n- one\n- two\n   "}],
    "code": [{"role": "user", "content": "```python\ndef add(a, b):\n\treturn a +"}],
    "spaced answer": [
        {"role": "user", "content": "Say hi."},
        {"role": "assistant", "content": "\n  hi\n"},
        {"role": "user", "content": "Again."},
    ],
    "empty": [{"role": "user", "content": ""}],
}


@pytest.fixture(scope="module")
def bare(server: Server) -> Iterator[Path]:
    """The socket of a chat engine of our own, with the flags of Antiphon's and nothing in front."""
    with TemporaryDirectory(prefix="antiphon-") as folder:
        address = Path(folder) / "llama.sock"
        _wake(server)
        with engine(server, LLAMA, address):
            yield address


def _wake(server: Server) -> None:
    """An engine that runs on demand runs for a while after this."""
    with openai.OpenAI(base_url=server.url, api_key=server.key) as client:
        question = {"messages": CONVERSATIONS["question"], "max_tokens": 1, "logprobs": True}
        client.chat.completions.create(model="gpt-3.5-turbo", **question)


@pytest.fixture
async def llama(bare: Path) -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.UnixConnector(str(bare))
    async with aiohttp.ClientSession("http://engine/v1/", connector=connector, timeout=SECONDS) as session:
        yield session


@pytest.fixture
async def platform(server: Server) -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"Authorization": f"Bearer {server.key}"}
    async with aiohttp.ClientSession(f"{server.url}/", headers=headers, timeout=SECONDS) as session:
        yield session


async def whole(session: aiohttp.ClientSession, body: dict[str, Any]) -> tuple[str, str]:
    """Text and finish reason."""
    async with session.post("chat/completions", json=body) as answer:
        assert answer.status == 200, await answer.text()
        [choice] = (await answer.json())["choices"]
        return choice["message"]["content"], choice["finish_reason"]


async def streamed(session: aiohttp.ClientSession, body: dict[str, Any]) -> tuple[str, str]:
    text, reason = "", ""
    async with session.post("chat/completions", json={**body, "stream": True}) as answer:
        assert answer.status == 200, await answer.text()
        async for line in answer.content:
            if line.startswith(b"data: {"):
                for choice in msgspec.json.decode(line[6:])["choices"]:
                    text += choice["delta"].get("content") or ""
                    reason = choice["finish_reason"] or reason
    return text, reason


@pytest.mark.parametrize("name", CONVERSATIONS)
async def test_same_answer(name: str, platform: aiohttp.ClientSession, llama: aiohttp.ClientSession) -> None:
    body = {
        "model": "gpt-3.5-turbo",
        "messages": CONVERSATIONS[name],
        "temperature": 0,
        "max_tokens": 32,
        "logprobs": True,
    }
    expected = await whole(llama, body)
    assert await whole(platform, body) == expected
    assert await streamed(platform, body) == expected

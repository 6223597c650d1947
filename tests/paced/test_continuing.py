"""Streams whose engine is killed go on with the other one, and are billed as if nothing had been."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Iterator

import aiohttp
import psutil
import pytest
from benchmarks.isolation import Tenant
from benchmarks.processes import Server

from benchmarks import load

TOKENS = 60


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with load.paced(more="replicas = 2", pin=False) as started:
        yield started


def engines(server: Server) -> list[int]:
    everyone = psutil.Process(server.pid).children(recursive=True)
    return [one.pid for one in everyone if any("fake_engine.py" in word for word in one.cmdline())]


def used(tenant: Tenant) -> list[dict[str, int]]:
    """What the ledger says, once all of it is posted."""
    deadline = time.monotonic() + 10
    while True:
        rows: list[dict[str, int]] = json.loads(tenant.said("usage", "--org", tenant.name, "--json"))
        if sum(row["requests"] for row in rows) >= 6 or time.monotonic() > deadline:
            return rows
        time.sleep(0.2)


async def whole(session: aiohttp.ClientSession, url: str, begun: asyncio.Event) -> tuple[str, int, str]:
    """The text of a streamed answer, the tokens that it says it has, and how it ended."""
    body = {
        "model": load.SNAPSHOT,
        "messages": [{"role": "user", "content": "Tell me of the sea."}],
        "max_tokens": TOKENS,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    text, tokens, finish = "", 0, ""
    async with session.post(f"{url}/chat/completions", json=body) as answer:
        async for line in answer.content:
            data = line.removeprefix(b"data: ").strip()
            if data == b"[DONE]":
                return text, tokens, finish
            if not data:
                continue
            event = json.loads(data)
            if event.get("usage"):
                tokens = event["usage"]["completion_tokens"]
            for choice in event.get("choices", ()):
                text += choice["delta"].get("content") or ""
                finish = choice["finish_reason"] or finish
            if text.count("word") > 5:
                begun.set()
    raise AssertionError(f"broken off after {text!r}")


async def test_streams_of_a_killed_engine_go_on_with_the_other(server: Server) -> None:
    [tenant] = load.tenants(server, "caller")
    begun = [asyncio.Event() for _ in range(6)]
    async with load.client(tenant.key) as session:
        streams = [asyncio.create_task(whole(session, tenant.url, one)) for one in begun]
        await asyncio.gather(*(one.wait() for one in begun))
        before = engines(server)
        os.kill(before[0], signal.SIGKILL)
        found = await asyncio.gather(*streams)
    expected = "".join(f" word{number}" for number in range(TOKENS))
    assert [one[0] for one in found] == [expected] * 6
    assert {one[1:] for one in found} == {(TOKENS, "length")}
    assert [sum(row[name] for row in used(tenant)) for name in ("requests", "output_tokens")] == [
        6,
        6 * TOKENS,
    ]
    tenant.said("ledger", "verify")
    assert len(before) == 2

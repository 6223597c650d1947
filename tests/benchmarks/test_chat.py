from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from benchmarks.chat import COMPLETION_TOKENS, Target, compare


class Fake:
    """A server that answers every chat with two pieces and 128 tokens of usage, and remembers the bodies."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, object]] = []
        self.most_at_once = 0
        self._now = 0

    async def chat(self, request: web.Request) -> web.StreamResponse:
        self.bodies.append(await request.json())
        self._now += 1
        self.most_at_once = max(self.most_at_once, self._now)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for frame in (
            b'{"choices":[{"delta":{"role":"assistant","content":""}}]}',
            b'{"choices":[{"delta":{"content":"a"}}]}',
            b'{"choices":[],"usage":{"prompt_tokens":200,"completion_tokens":128}}',
            b"[DONE]",
        ):
            await response.write(b"data: " + frame + b"\n\n")
            await asyncio.sleep(0)
        self._now -= 1
        return response


@pytest.fixture
async def sides() -> AsyncIterator[tuple[tuple[Target, Target], tuple[Fake, Fake]]]:
    fakes = (Fake(), Fake())
    servers = []
    for fake in fakes:
        application = web.Application()
        application.router.add_post("/v1/chat/completions", fake.chat)
        servers.append(TestServer(application))
        await servers[-1].start_server()
    ours, bare = (str(server.make_url("/v1")) for server in servers)
    yield (Target("Antiphon", ours, "m", key="sk-x"), Target("bare engine", bare, "m")), fakes
    for server in servers:
        await server.close()


async def test_both_sides_get_the_same_work(
    sides: tuple[tuple[Target, Target], tuple[Fake, Fake]],
) -> None:
    targets, (ours, bare) = sides
    steps: list[None] = []
    measured = await compare(targets, clients=(1, 4), rounds=2, step=lambda: steps.append(None))

    assert [(one.target, one.clients) for one in measured] == [
        ("Antiphon", 1), ("bare engine", 1), ("Antiphon", 4), ("bare engine", 4),
    ]  # fmt: skip
    assert len(steps) == 8
    prompts = [sorted(str(body["messages"]) for body in fake.bodies) for fake in (ours, bare)]
    assert prompts[0] == prompts[1]
    assert len(set(prompts[0])) == len(prompts[0]) == 4 + 2 * 4 + 2 * 4
    assert ours.most_at_once == bare.most_at_once == 4
    for one in measured:
        assert one.tokens_per_second > 0 and one.first_token_seconds > 0 and one.prompt_tokens == 200
    assert all(body["max_tokens"] == COMPLETION_TOKENS for body in ours.bodies)

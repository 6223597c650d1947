"""The loads against a server that answers at once, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from benchmarks.chat.client import Answer, Target, ask, body, session, summary
from benchmarks.chat.loads import LOADS
from benchmarks.chat.plan import FULL, QUICK, Plan

PLAN = msgspec.structs.replace(QUICK, least_requests=4, mixed_seconds=0.2)


class Fake:
    """Every answer has two pieces and says that it has 128 tokens."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, object]] = []
        self.keys: set[str | None] = set()
        self.most_at_once = self._now = 0
        self.whole = True

    async def chat(self, request: web.Request) -> web.StreamResponse:
        self.bodies.append(await request.json())
        self.keys.add(request.headers.get("Authorization"))
        self._now += 1
        self.most_at_once = max(self.most_at_once, self._now)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for frame in (
            {"choices": [{"delta": {"role": "assistant", "content": ""}}]},
            {"choices": [{"delta": {"content": "a"}}]},
            {"choices": [{"delta": {"content": "b"}}]},
            {"choices": [], "usage": {"prompt_tokens": 200, "completion_tokens": 128}},
        ):
            await response.write(b"data: " + json.dumps(frame).encode() + b"\n\n")
            await asyncio.sleep(0.01)
        if self.whole:
            await response.write(b"data: [DONE]\n\n")
        self._now -= 1
        return response

    @property
    def prompts(self) -> list[str]:
        return sorted(str(body["messages"]) for body in self.bodies)


@pytest.fixture
async def sides() -> AsyncIterator[list[tuple[Target, Fake]]]:
    found, servers = [], []
    for key in ("sk-x", ""):
        fake = Fake()
        application = web.Application()
        application.router.add_post("/v1/chat/completions", fake.chat)
        servers.append(TestServer(application))
        await servers[-1].start_server()
        found.append((Target(str(servers[-1].make_url("/v1")), "m", key), fake))
    yield found
    for server in servers:
        await server.close()


@pytest.mark.parametrize("load", [name for name in LOADS if name != "mixed"])
async def test_all_sides_get_the_same_work(load: str, sides: list[tuple[Target, Fake]]) -> None:
    for target, _ in sides:
        found = await LOADS[load](target, PLAN, 4, "seed")
        assert found.prompt_tokens == 200 and found.completion_tokens == 4 * 128
        assert 0 < found.first_p50 <= found.first_p99 < found.seconds and found.gap_p50 > 0
        assert found.tokens_per_second == pytest.approx(512 / found.seconds)
    (_, ours), (_, theirs) = sides
    assert ours.prompts == theirs.prompts and len(set(ours.prompts)) == 4
    assert ours.most_at_once == theirs.most_at_once == 4
    assert ours.keys == {"Bearer sk-x"} and theirs.keys == {None}
    assert all(asked["temperature"] == 0 and asked["stream"] for asked in ours.bodies)


async def test_one_client_sends_its_requests_in_turn(sides: list[tuple[Target, Fake]]) -> None:
    [(target, fake), _] = sides
    await LOADS["clients"](target, PLAN, 1, "seed")
    assert fake.most_at_once == 1 and len(set(fake.prompts)) == 4


async def test_only_the_shared_load_shares(sides: list[tuple[Target, Fake]]) -> None:
    [(target, fake), _] = sides
    await LOADS["shared"](target, PLAN, 4, "seed")
    systems = {body["messages"][0]["content"] for body in fake.bodies}
    assert len(systems) == 1 and len(systems.pop().split()) > 1000
    fake.bodies.clear()
    await LOADS["long"](target, PLAN, 4, "seed")
    assert len({body["messages"][0]["content"][:30] for body in fake.bodies}) == 4


async def test_the_mixed_load_is_told_of_the_short_ones(sides: list[tuple[Target, Fake]]) -> None:
    [(target, fake), _] = sides
    found = await LOADS["mixed"](target, PLAN, 2, "seed")
    long = [body for body in fake.bodies if body["max_tokens"] == PLAN.long_answer and len(str(body)) > 3000]
    assert long and found.completion_tokens == 128 * (len(fake.bodies) - len(long))
    assert found.seconds >= PLAN.mixed_seconds


async def test_an_answer_that_is_not_whole_is_no_answer(sides: list[tuple[Target, Fake]]) -> None:
    [(target, fake), _] = sides
    fake.whole = False
    async with session(target) as opened:
        with pytest.raises(RuntimeError, match="to the end"):
            await ask(opened, target, body(target, [{"role": "user", "content": "?"}], 8))
        elsewhere = msgspec.structs.replace(target, url=target.url + "x")
        with pytest.raises(RuntimeError, match="404"):
            await ask(opened, elsewhere, body(target, [], 8))


def test_gaps_are_within_answers() -> None:
    answers = [
        Answer(text="", times=[1.0, 1.5, 2.0], prompt_tokens=10, completion_tokens=3),
        Answer(text="", times=[3.0, 4.0], prompt_tokens=20, completion_tokens=2),
    ]
    found = summary(5.0, answers)
    assert (found.gap_p50, found.first_p50, found.completion_tokens) == (0.5, 2.0, 5)
    assert found.gap_p99 == pytest.approx(0.99)
    assert summary(1.0, answers[:0] or [answers[0]]).gap_p99 == 0.5


def test_the_plan_is_a_plan() -> None:
    assert isinstance(FULL, Plan) and max(FULL.clients) == 32 == FULL.shared_clients

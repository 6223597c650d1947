"""What counts as a right answer while processes are killed, and when a client sends again."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from benchmarks.chaos import EXPECTED, Answered, Turn, ask, availability, bars

WHOLE = {"choices": [{"message": {"content": EXPECTED}}]}
EVENT = {"choices": [{"delta": {"content": EXPECTED}}]}
DONE = "data: [DONE]\n\n"


@asynccontextmanager
async def site(answers: Sequence[web.Response]) -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
    """A server that gives these answers, one after the other."""
    left = iter(answers)

    async def answer(request: web.Request) -> web.Response:
        return next(left)

    app = web.Application()
    app.router.add_post("/chat/completions", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        bound = web.TCPSite(runner, "127.0.0.1", 0)
        await bound.start()
        async with aiohttp.ClientSession() as session:
            yield session, f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def refusal(status: int, **headers: str) -> web.Response:
    sent = {"retry-after": "0", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return web.json_response({"error": {}}, status=status, headers=sent)


def stream(*events: str) -> web.Response:
    return web.Response(text="".join(events), content_type="text/event-stream")


def frame(value: Any) -> str:
    return f"data: {json.dumps(value)}\n\n"


async def answered(*answers: web.Response, streamed: bool = False) -> Answered:
    async with site(answers) as (session, url):
        return await ask(session, url, stream=streamed)


async def test_what_fails_at_first_is_right_if_a_retry_is() -> None:
    assert await answered(web.json_response(WHOLE)) == Answered(True, 1)
    assert await answered(refusal(503), web.json_response(WHOLE)) == Answered(True, 2)
    assert await answered(refusal(503), refusal(502), refusal(503)) == Answered(False, 3, "503")
    assert await answered(refusal(400)) == Answered(False, 1, "400")
    assert await answered(refusal(429, x_should_retry="false")) == Answered(False, 1, "429")


async def test_a_stream_that_has_begun_is_not_sent_again() -> None:
    assert await answered(stream(frame(EVENT), DONE), streamed=True) == Answered(True, 1)
    failed = await answered(stream(frame({"error": {}})), streamed=True)
    assert failed == Answered(False, 1, "error event")
    assert await answered(stream(frame(EVENT)), streamed=True) == Answered(False, 1, "wrong")
    assert await answered(stream(DONE), streamed=True) == Answered(False, 1, "wrong")
    other = {"choices": [{"message": {"content": "another's"}}]}
    assert await answered(web.json_response(other)) == Answered(False, 1, "wrong")


def test_availability_counts_what_was_never_right() -> None:
    turns = [Turn("engine", 1000, 990, 999, {"error event": 1}), Turn("gateway", 1000, 995, 1000, {})]
    assert availability(turns) == pytest.approx(0.9995) and availability(turns, tries=False) == 0.9925
    assert all(bar.met for bar in bars(turns))
    assert [bar.met for bar in bars([Turn("engine", 1000, 990, 998, {"wrong": 2})])] == [False, False]

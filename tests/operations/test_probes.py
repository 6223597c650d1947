"""What a probe takes for an answer, asked of servers that answer otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path

import aiohttp
import av
import pytest
from aiohttp import web

from antiphon.operations.probes import CLIP, CLIP_SECONDS, Found, chat, transcription
from antiphon.settings import Settings
from antiphon.status.outcomes import Objectives, objectives
from service import KEY, serving

AIMS = objectives(Settings())
CHUNK = (
    'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","system_fingerprint":"f",'
    '"choices":[{"index":0,"delta":{"content":"%s"},"logprobs":null,"finish_reason":%s}]}\n\n'
)
DONE = "data: [DONE]\n\n"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def answering(handler: Handler) -> AsyncIterator[aiohttp.ClientSession]:
    app = web.Application()
    app.add_routes([web.post("/v1/{path:.*}", handler)])
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    [address] = runner.addresses
    timeout = aiohttp.ClientTimeout(total=1)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{address[1]}", timeout=timeout) as session:
        yield session
    await runner.cleanup()


async def asked(body: str, status: int = 200, *, speech: bool = False, aims: Objectives = AIMS) -> Found:
    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(text=body, status=status, content_type="text/plain")

    async with answering(answer) as session:
        return await (transcription if speech else chat)(session, "m", aims)


async def test_the_api_of_the_house_answers_as_it_should(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        headers = {"authorization": f"Bearer {KEY}"}
        address = f"http://127.0.0.1:{service.port}"
        async with aiohttp.ClientSession(address, headers=headers) as session:
            found = await chat(session, "gpt-3.5-turbo", AIMS)
            assert found.good and found.reason == "" and found.seconds > 0
            # The scripted engine says something else than the clip.
            heard = await transcription(session, "whisper-1", AIMS)
            assert not heard.good and heard.reason == "the transcript has not the words that were said"
        async with aiohttp.ClientSession(address) as session:
            found = await chat(session, "gpt-3.5-turbo", AIMS)
            assert found.refused and found.reason == "it was answered 401"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (CHUNK % ("Hello", '"stop"') + DONE, ""),
        (CHUNK % ("Hel", "null") + CHUNK % ("lo", '"length"') + DONE, ""),
        (CHUNK % ("Hello", '"stop"'), "the stream ended before its end"),
        (CHUNK % ("Hello", "null") + DONE, "the answer has no reason for its end"),
        (CHUNK % (" ", '"stop"') + DONE, "the answer is empty"),
        ('data: {"error":{"message":"x"}}\n\n', "the answer is not of its form"),
        ("data: {\n\n", "the answer is not of its form"),
        ("", "the stream ended before its end"),
        ("x" * 70_000, "the answer is too long"),
        ("x" * 700_000, "the answer is not of its form"),
        ((CHUNK % ("x" * 1000, "null")) * 70, "the answer is too long"),
    ],
)
async def test_a_chat_is_good_only_if_it_is_whole_and_of_its_form(body: str, reason: str) -> None:
    found = await asked(body)
    assert (found.reason, found.good, found.refused) == (reason, not reason, False)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("Ask what you can do for your country.", ""),
        ("ask what you can do", ""),
        ("Thank you.", "the transcript has not the words that were said"),
        ("", "the transcript has not the words that were said"),
        (None, "the answer is not of its form"),
    ],
)
async def test_a_transcript_has_the_words_of_the_clip(body: str | None, reason: str) -> None:
    text = "{}" if body is None else f'{{"text":"{body}","usage":{{"type":"duration","seconds":3}}}}'
    found = await asked(text, speech=True)
    assert (found.reason, found.good) == (reason, not reason)


@pytest.mark.parametrize(
    ("status", "refused"), [(500, False), (503, False), (404, False), (401, True), (403, True), (429, True)]
)
async def test_a_refusal_is_told_from_a_failure(status: int, refused: bool) -> None:
    for speech in (False, True):
        found = await asked("", status, speech=speech)
        assert (found.good, found.refused) == (False, refused)
        assert found.reason == f"it was answered {status}"


async def test_what_is_late_silent_or_away_is_not_good() -> None:
    aims = Objectives(first_token=0.0, whole=0.0, sound=0.0)
    found = await asked(CHUNK % ("Hello", '"stop"') + DONE, aims=aims)
    assert found.reason == "the answer came too late"

    async def silent(request: web.Request) -> web.Response:
        await asyncio.sleep(30)
        return web.Response()

    async with answering(silent) as session:
        assert (await chat(session, "m", AIMS)).reason == "no whole answer came in time"
    async with aiohttp.ClientSession("http://127.0.0.1:1") as session:
        found = await transcription(session, "m", AIMS)
        assert found.reason.startswith("the server cannot be reached") and not found.refused


def test_the_clip_is_short_and_can_be_opened() -> None:
    path = files("antiphon.operations") / CLIP
    with path.open("rb") as file, av.open(file) as opened:
        seconds = sum(frame.samples / frame.sample_rate for frame in opened.decode(audio=0))
    assert abs(seconds - CLIP_SECONDS) < 0.2

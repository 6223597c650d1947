"""Recordings on their way to a server, through the HTTP side of the process: held, measured, sent, told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from starlette.applications import Starlette

from antiphon.workers.relay.__main__ import built
from antiphon.workers.relay.server import Server
from fake_openai import KEY, MODEL, FakeOpenAI, served
from speech_exchange import Exchange, form
from until import until


@asynccontextmanager
async def running(fake: FakeOpenAI, slots: int = 2, seconds: float = 60) -> AsyncIterator[Starlette]:
    async with served(fake) as port:
        app = built(Server(f"http://127.0.0.1:{port}/v1", MODEL, KEY), "m", slots, seconds)
        async with app.router.lifespan_context(app):
            await until(lambda: "/v1/models" in fake.asked)
            yield app


def recording(file: bytes, **fields: str) -> Exchange:
    return Exchange("/v1/audio/transcriptions", form(file, **{"model": "m", "organization": "ours"} | fields))


@pytest.fixture
def speech(recordings: Path) -> bytes:
    """Of a second and a half."""
    return (recordings / "en_lhotse_LJ002-0020.wav").read_bytes()


async def test_a_transcript(speech: bytes) -> None:
    async with running(FakeOpenAI()) as app:
        talk = await recording(speech).through(app)
    opened, first, second, done = talk.events
    assert opened["type"] == "transcript.opened" and 0 < opened["expected"] < opened["seconds"]
    assert first["text"] == " One two." and second["text"] == " Three." and second["avg_logprob"] == -0.25
    assert done["language"] == "english" and done["duration"] == pytest.approx(1.54, abs=0.1)
    assert done["usage"]["seconds"] == done["duration"], "what was measured here, whatever the server says"


@pytest.mark.parametrize(("said", "language"), [({}, "unknown"), ({"language": "de"}, "de")])
async def test_a_language_that_nobody_tells_is_not_made_up(
    said: dict[str, str], language: str, speech: bytes
) -> None:
    fake = FakeOpenAI()
    fake.forms = {"json"}
    async with running(fake) as app:
        talk = await recording(speech, **said).through(app)
    assert talk.events[-1]["language"] == language


async def test_what_is_held_is_sent_once_it_is_started(speech: bytes) -> None:
    fake = FakeOpenAI()
    async with running(fake) as app:
        talk = recording(speech, hold="true")
        running_talk = asyncio.create_task(talk.through(app))
        await until(lambda: len(talk.sent) > 1)
        assert not fake.bodies
        start = await Exchange(f"/v1/audio/recordings/{talk.events[0]['id']}/start").through(app)
        assert start.status == 204 and (await running_talk).events[-1]["type"] == "transcript.text.done"
        missing = await Exchange("/v1/audio/recordings/nothing/start").through(app)
        assert missing.status == 404


@pytest.mark.parametrize("wrong", ["garbage", "long", "model"])
async def test_what_is_wrong_is_sent_nowhere(wrong: str, speech: bytes) -> None:
    fake = FakeOpenAI()
    async with running(fake, seconds=1 if wrong == "long" else 60) as app:
        talk = await recording(
            b"x" * 2000 if wrong == "garbage" else speech, model="m" if wrong != "model" else "n"
        ).through(app)
    assert talk.status == {"garbage": 400, "long": 413, "model": 400}[wrong] and not fake.bodies


async def test_more_than_the_slots_are_refused(speech: bytes) -> None:
    async with running(FakeOpenAI(), slots=1) as app:
        held = [recording(speech, hold="true") for _ in range(5)]
        talks = [asyncio.create_task(one.through(app)) for one in held]
        await until(lambda: all(len(one.sent) > 1 for one in held))
        assert (await recording(speech).through(app)).status == 503
        for one in held:
            one.leave()
        await asyncio.gather(*talks)
        assert (await recording(speech).through(app)).status == 200


async def test_a_client_that_leaves_ends_the_request_to_the_server(speech: bytes) -> None:
    fake = FakeOpenAI()
    fake.delay = 60
    async with running(fake) as app:
        talk = recording(speech)
        asking = asyncio.create_task(talk.through(app))
        await until(lambda: len(fake.bodies) == 1)
        talk.leave()
        await asyncio.wait_for(asking, 5)


async def test_it_is_well_while_the_server_is(speech: bytes) -> None:
    fake = FakeOpenAI()
    async with running(fake) as app:
        await until_status(app, 200)
        fake.key = "another"
        await until_status(app, 503)


async def until_status(app: Starlette, status: int) -> None:
    async with asyncio.timeout(10):
        while (await Exchange("/health", method="GET").through(app)).status != status:
            await asyncio.sleep(0.05)

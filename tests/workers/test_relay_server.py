"""A server of OpenAI's API as the relay asks it: over real HTTP, with what it may answer."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from antiphon.errors import AntiphonError, EngineFailed, InvalidAudio, TooLarge, UnsupportedParameter
from antiphon.workers.relay import server as relay_server
from antiphon.workers.relay.server import Server
from antiphon.workers.speech.values import Job
from fake_openai import KEY, MODEL, FakeOpenAI, served
from until import until


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it is well is asked often."""
    monkeypatch.setattr(relay_server, "PROBE_SECONDS", 0.02)


@asynccontextmanager
async def watched(fake: FakeOpenAI, key: str = KEY) -> AsyncIterator[Server]:
    async with served(fake) as port:
        server = Server(f"http://127.0.0.1:{port}/v1/", MODEL, key)
        async with server.watched():
            yield server


def well(server: Server) -> bool:
    try:
        server.check()
    except EngineFailed:
        return False
    return True


def job(**given: Any) -> Job:
    return Job(**{"id": "1", "organization": "org_1", "model": "m", **given})


async def test_what_it_is_told(recordings: Path) -> None:
    fake = FakeOpenAI()
    path = recordings / "en_lhotse_LJ002-0020.wav"
    asked = job(language="en", prompt="Names", temperature=0.5, words=True)
    fake.transcript["words"] = []
    async with watched(fake) as server:
        with path.open("rb") as file:
            file.read(100)  # whoever had it before left it anywhere
            await server.transcribe(asked, file)
            await server.transcribe(job(task="translate", language="de"), file)
    first, second = fake.bodies
    assert first == {
        "path": "/v1/audio/transcriptions",
        "model": MODEL,
        "response_format": "verbose_json",
        "temperature": "0.5",
        "prompt": "Names",
        "language": "en",
        "timestamp_granularities[]": ["segment", "word"],
        "file": path.read_bytes(),
        "filename": "recording.wav",
    }
    assert second["path"] == "/v1/audio/translations" and "language" not in second


async def test_one_that_knows_the_text_alone_is_remembered(recordings: Path) -> None:
    fake = FakeOpenAI()
    fake.forms = {"json"}
    async with watched(fake) as server:
        with (recordings / "en_whisper_jfk.flac").open("rb") as file:
            for _ in range(2):
                assert (await server.transcribe(job(), file)).text == "One two. Three."
            with pytest.raises(UnsupportedParameter) as refusal:
                await server.transcribe(job(words=True), file)
    assert refusal.value.param == "timestamp_granularities"
    assert [body["response_format"] for body in fake.bodies] == ["verbose_json", "json", "json", "json"]
    assert all(body["file"] for body in fake.bodies) and fake.bodies[0]["filename"] == "recording.flac"


async def test_one_that_knows_no_words_is_asked_for_segments_ever_after(recordings: Path) -> None:
    fake = FakeOpenAI()
    fake.granularities = {"segment"}
    async with watched(fake) as server:
        with (recordings / "en_lhotse_LJ002-0020.wav").open("rb") as file:
            with pytest.raises(UnsupportedParameter) as refusal:
                await server.transcribe(job(words=True), file)
            spoken = await server.transcribe(job(), file)
    assert refusal.value.param == "timestamp_granularities"
    assert spoken.language == "English" and spoken.segments and len(spoken.segments) == 2
    assert {body["response_format"] for body in fake.bodies} == {"verbose_json"}


async def test_a_recording_at_fault_is_told_as_such_also_with_words(recordings: Path) -> None:
    fake = FakeOpenAI()
    fake.status = 400
    async with watched(fake) as server:
        with (recordings / "en_lhotse_LJ002-0020.wav").open("rb") as file, pytest.raises(InvalidAudio):
            await server.transcribe(job(words=True), file)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, InvalidAudio), (422, InvalidAudio), (413, TooLarge), (401, EngineFailed), (404, EngineFailed),
     (307, EngineFailed), (429, EngineFailed), (500, EngineFailed)],
)  # fmt: skip
async def test_its_refusals(
    status: int, kind: type[AntiphonError], recordings: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fake = FakeOpenAI()
    fake.status = status
    async with watched(fake) as server:
        with (recordings / "en_lhotse_LJ002-0020.wav").open("rb") as file, pytest.raises(kind) as problem:
            await server.transcribe(job(), file)
    assert "secret" not in problem.value.message and "secret" not in caplog.text and KEY not in caplog.text


async def test_garbage_and_nobody(recordings: Path) -> None:
    fake = FakeOpenAI()
    fake.fault = "garbage"
    with (recordings / "en_lhotse_LJ002-0020.wav").open("rb") as file:
        async with watched(fake) as server:
            with pytest.raises(EngineFailed, match="unreadable"):
                await server.transcribe(job(), file)
        gone = Server("http://127.0.0.1:1/v1", MODEL)
        async with gone.watched():
            with pytest.raises(EngineFailed, match="broke off"):
                await gone.transcribe(job(), file)


async def test_whether_it_is_well_is_followed(caplog: pytest.LogCaptureFixture) -> None:
    fake = FakeOpenAI()
    with caplog.at_level(logging.WARNING):
        async with watched(fake) as server:
            assert not well(server), "it was not asked yet"
            await until(lambda: well(server))
            fake.key = "another"
            await until(lambda: not well(server))
            fake.key = KEY
            await until(lambda: well(server))
            fake.listed["id"] = "another"
            await until(lambda: not well(server))
    assert "401" in caplog.text and "does not serve the model" in caplog.text and KEY not in caplog.text

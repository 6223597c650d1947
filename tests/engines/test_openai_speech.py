"""Speech at a URL, as the platform uses it: the relay as a real process, before a real HTTP server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from addresses import unix
from antiphon.engines import kinds
from antiphon.engines.openai_speech import ENGINE
from antiphon.engines.speech import SpeechEngine
from antiphon.errors import ConfigurationError, EngineFailed, InvalidAudio
from antiphon.runtime.local import environment
from antiphon.settings import Settings
from antiphon.values import Segment, SpeechJob, Transcript
from fake_openai import KEY, FakeOpenAI, deployment, served


@asynccontextmanager
async def relayed(fake: FakeOpenAI, folder: Path) -> AsyncIterator[SpeechEngine]:
    """A client of a relay before a server, once it is ready."""
    key = folder / "key"
    key.write_text(KEY)
    async with served(fake) as port:
        settings = Settings(upstreams=f"http://127.0.0.1:{port}", audio_seconds=60)
        given = {"task": "speech", "engine": "openai_speech", "context": 0}
        there = deployment(f"http://127.0.0.1:{port}/v1", key_file=str(key), **given)
        address = unix(folder / "s.sock")
        command = ENGINE.command([there], settings, address)
        assert KEY not in " ".join(command)
        process = await asyncio.create_subprocess_exec(*command, env=environment(folder))
        engine = ENGINE.connect([there], settings, address)
        assert isinstance(engine, SpeechEngine)
        try:
            async with asyncio.timeout(60):
                while not await ready(engine):
                    assert process.returncode is None, "the relay ended"
                    await asyncio.sleep(0.05)
            yield engine
        finally:
            await engine.close()
            process.terminate()
            await process.wait()


async def ready(engine: SpeechEngine) -> bool:
    try:
        await engine.probe()
    except EngineFailed:
        return False
    return True


def job(path: Path) -> SpeechJob:
    return SpeechJob(id="1", organization="org_1", model="m", file=path)


async def test_a_recording(tmp_path: Path, recordings: Path) -> None:
    fake = FakeOpenAI()
    async with relayed(fake, tmp_path) as engine:
        async with engine.open(job(recordings / "en_lhotse_LJ002-0020.wav")) as recording:
            assert recording.seconds > 1 and not fake.bodies, "what it costs is known before it is sent"
            async with aclosing(recording.transcribe()) as pieces:
                *segments, last = [piece async for piece in pieces]
        assert [one.text for one in segments if isinstance(one, Segment)] == [" One two.", " Three."]
        assert isinstance(last, Transcript) and last.usage.seconds == pytest.approx(
            recording.seconds, abs=0.1
        )
        wrong = tmp_path / "wrong"
        wrong.write_bytes(b"x" * 2000)
        with pytest.raises(InvalidAudio):
            async with engine.open(job(wrong)):
                pass
        fake.status = 500
        async with engine.open(job(recordings / "en_lhotse_LJ002-0020.wav")) as recording:
            with pytest.raises(EngineFailed):
                async with aclosing(recording.transcribe()) as pieces:
                    await anext(pieces)
    assert len(fake.bodies) == 2


def test_a_url_that_is_not_allowed_is_refused() -> None:
    assert kinds()["openai_speech"] is ENGINE
    with pytest.raises(ConfigurationError, match="upstreams"):
        ENGINE.command([deployment("http://10.0.0.5:8000/v1", task="speech")], Settings(), unix("s"))

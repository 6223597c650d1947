"""Everything put together, with the bundled model; the process around it is tested from outside."""

from __future__ import annotations

import threading
from pathlib import Path

import psutil
import pytest
from starlette.applications import Starlette

from addresses import unix
from antiphon.errors import EngineFailed
from antiphon.workers.speech import engine
from antiphon.workers.speech.desk import EXTRA
from antiphon.workers.speech.engine import built, serve_speech
from antiphon.workers.speech.options import Options
from antiphon.workers.speech.transcriber import Transcriber
from speech_exchange import Exchange, form
from speech_house import Ear
from until import until


def parts_of_the_engine() -> tuple[set[str], int]:
    """Names of its threads, and how many processes it has."""
    names = {thread.name for thread in threading.enumerate()}
    return {name for name in names if name.startswith(("lane-", "cut"))}, len(psutil.Process().children())


async def test_the_engine_ends_with_its_lifespan(
    whisper_base: Path, transcriber: Transcriber, clip: bytes
) -> None:
    threads, processes = parts_of_the_engine()
    options = Options(listen=unix("unused"), models={"whisper-base": whisper_base}, threads=2)
    app = built(options, transcriber)
    async with app.router.lifespan_context(app):
        running, decoding = parts_of_the_engine()
        assert running >= {"lane-0", "lane-1"} and decoding == processes + 1
        talk = Exchange("/v1/audio/transcriptions", form(clip, model="whisper-base"))
        _, *segments, done = (await talk.through(app)).events
        text = "".join(segment["text"] for segment in segments)
        assert done["language"] == "en" and text.lower().count("ugly ones") == 2
    await until(lambda: parts_of_the_engine() == (threads, processes))


async def test_there_are_decoders_for_all_that_are_let_in(
    whisper_base: Path, transcriber: Transcriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []

    class Counted(engine.Decoders):
        def __init__(self, at_once: int) -> None:
            made.append(at_once)
            super().__init__(at_once)

    monkeypatch.setattr(engine, "Decoders", Counted)
    options = Options(listen=unix("unused"), models={"whisper-base": whisper_base}, slots=96)
    async with built(options, transcriber).router.lifespan_context(Starlette()):
        assert made == [96 + EXTRA]


async def test_an_engine_that_does_not_start_leaves_nothing(
    whisper_base: Path, transcriber: Transcriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(engine.Decoders):
        async def start(self) -> None:
            raise EngineFailed("The speech engine's decoder does not start.")

    monkeypatch.setattr(engine, "Decoders", Broken)
    before = parts_of_the_engine()
    app = built(Options(listen=unix("unused"), models={"whisper-base": whisper_base}), transcriber)
    with pytest.raises(EngineFailed):
        async with app.router.lifespan_context(app):
            raise AssertionError("it has started")
    await until(lambda: parts_of_the_engine() == before)


def test_models_are_loaded_before_anybody_is_served(
    tmp_path: Path, ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    monkeypatch.setattr(ear, "warm_up", lambda: events.append("warm"))
    monkeypatch.setattr(engine, "built", lambda options, transcriber: "app")
    monkeypatch.setattr(engine, "serve", lambda app, address: events.append(f"serve {app} {address.path}"))
    serve_speech(Options(listen=unix("a.sock"), models={"m": tmp_path}))
    assert events == ["warm", "serve app a.sock"]

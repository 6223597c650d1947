"""What the tests of the speech engine share: the bundled model, loaded once, recordings, and desks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

import sounds
from addresses import unix
from antiphon.workers.speech import transcriber as speech_transcriber
from antiphon.workers.speech.decoder import Decoders
from antiphon.workers.speech.options import Options
from antiphon.workers.speech.tokens import Language
from antiphon.workers.speech.transcriber import Transcriber
from antiphon.workers.speech.whisper import Shape, Whisper
from speech_house import WINDOWS, Desks, Ear, house, spaced, write_tokens


@pytest.fixture(scope="session")
def whisper(whisper_base: Path) -> Whisper:
    """The bundled model as one lane uses it."""
    return Whisper(whisper_base, Shape(), lanes=1)


@pytest.fixture(scope="session")
def transcriber(whisper_base: Path, whisper: Whisper) -> Transcriber:
    """The models of a process that serves only `whisper-base`, in memory already."""

    class Loaded(Transcriber):
        def _load(self, folder: Path) -> Whisper:
            return whisper

    return Loaded(Options(listen=unix("unused"), models={"whisper-base": whisper_base}))


@pytest.fixture(scope="session")
def language(whisper_base: Path) -> Language:
    """The bundled model's tokens."""
    return Language(whisper_base, multilingual=True)


@pytest.fixture(scope="session")
def parts(recordings: Path) -> list[sounds.Samples]:
    """Two stretches of English of a few seconds, one window each."""
    names = ("en_tts_LJ001-0013.wav", "en_lhotse_LJ002-0020.wav")
    return [sounds.read(recordings / name) for name in names]


@pytest.fixture(scope="session")
def clip(parts: list[sounds.Samples]) -> bytes:
    """Thirteen seconds in three windows."""
    stretches = [parts[0], parts[1], parts[0]]
    assert len(stretches) == WINDOWS
    return sounds.encode(spaced(*stretches))


@pytest.fixture(scope="session")
def long(parts: list[sounds.Samples]) -> bytes:
    """Nearly two minutes in 24 windows."""
    return sounds.encode(spaced(*[parts[0]] * 24))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def decoders() -> AsyncIterator[Decoders]:
    """For tests that run in the loop of their module."""
    decoders = Decoders(32)
    yield decoders
    await decoders.close()


@pytest.fixture
def ear(monkeypatch: pytest.MonkeyPatch) -> Ear:
    """What hears in place of every model."""
    ear = Ear()
    monkeypatch.setattr(speech_transcriber, "Whisper", ear.load)
    return ear


@pytest.fixture
def fake(decoders: Decoders, ear: Ear, tmp_path: Path) -> Desks:
    """Desks whose one model, `m`, is the ear."""
    write_tokens(tmp_path, "en", "de", "fr")
    return partial(house, decoders, Transcriber(Options(listen=unix(tmp_path), models={"m": tmp_path})))

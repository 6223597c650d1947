"""Nine containers, each intact, damaged or empty: the right status, and the right text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
from benchmarks.processes import Server
from benchmarks.recordings import read as read_manifest
from benchmarks.words import error_rate

from sounds import encode, read, silence, video

CONTAINERS = ("flac", "m4a", "mp3", "mp4", "mpeg", "mpga", "ogg", "wav", "webm")
"""As the API has always listed them."""
FILMS = {"mp4": "mp4", "m4a": "mov", "mpeg": "mpeg", "webm": "matroska", "wav": "avi"}
"""Muxers of those that can hold a picture and no sound."""
SPOKEN = "en_pyroomacoustics_cmu_arctic_us_aew_a0003.wav"
LENGTH = 3.54
MOST_ERRORS = 0.2
SECONDS = 60.0


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.url, api_key=server.key, max_retries=0, timeout=SECONDS) as found:
        yield found


@pytest.fixture(scope="module")
def reference(recordings: Path) -> str:
    return next(one.reference for one in read_manifest(recordings) if one.path.name == SPOKEN)


@pytest.fixture(scope="module")
def spoken(recordings: Path) -> dict[str, bytes]:
    """What is said, in every container."""
    samples = read(recordings / SPOKEN)
    return {name: encode(samples, name) for name in CONTAINERS}


def post(client: openai.OpenAI, content: bytes, name: str) -> Any:
    return client.audio.transcriptions.create(
        model="whisper-1", file=(name, content), response_format="verbose_json"
    )


def refused(client: openai.OpenAI, content: bytes, name: str) -> None:
    with pytest.raises(openai.BadRequestError) as refusal:
        post(client, content, name)
    assert refusal.value.param == "file"


@pytest.mark.parametrize("name", CONTAINERS)
def test_intact(client: openai.OpenAI, spoken: dict[str, bytes], reference: str, name: str) -> None:
    answer = post(client, spoken[name], f"speech.{name}")
    assert error_rate([reference], [answer.text], "en") <= MOST_ERRORS
    assert answer.duration == pytest.approx(LENGTH, abs=0.2)
    assert answer.usage.seconds == 4


@pytest.mark.parametrize("name", CONTAINERS)
def test_truncated(client: openai.OpenAI, spoken: dict[str, bytes], reference: str, name: str) -> None:
    cut = spoken[name][: len(spoken[name]) * 6 // 10]
    if name in ("mp4", "m4a"):  # their index is at the end, and is gone
        refused(client, cut, f"speech.{name}")
        return
    answer = post(client, cut, f"speech.{name}")
    words = answer.text.split()
    whole = reference.split()
    assert len(words) >= len(whole) * 0.4
    beginning = " ".join(whole[: len(words)])
    assert error_rate([beginning], [" ".join(words)], "en") <= 0.35
    assert answer.duration == pytest.approx(0.6 * LENGTH, abs=0.8)


@pytest.mark.parametrize("name", CONTAINERS)
def test_wrong_name(client: openai.OpenAI, spoken: dict[str, bytes], reference: str, name: str) -> None:
    other = CONTAINERS[CONTAINERS.index(name) - 1]
    answer = post(client, spoken[name], f"speech.{other}")
    assert error_rate([reference], [answer.text], "en") <= MOST_ERRORS


@pytest.mark.parametrize("name", FILMS)
def test_no_audio_track(client: openai.OpenAI, name: str) -> None:
    refused(client, video(FILMS[name]), f"film.{name}")


@pytest.mark.parametrize("name", CONTAINERS)
def test_zero_samples(client: openai.OpenAI, name: str) -> None:
    refused(client, encode(silence(0), name), f"empty.{name}")


@pytest.mark.parametrize("name", CONTAINERS)
def test_silence_says_nothing(client: openai.OpenAI, name: str) -> None:
    answer = post(client, encode(silence(2), name), f"silence.{name}")
    assert answer.text == "" and answer.segments == []
    assert answer.usage.seconds in (2, 3)


@pytest.mark.parametrize("name", CONTAINERS)
def test_noise_says_nothing(client: openai.OpenAI, name: str) -> None:
    noise = (np.random.default_rng(7).normal(0, 0.1, 2 * 16_000) * 32767).clip(-32768, 32767)
    answer = post(client, encode(noise.astype(np.int16), name), f"noise.{name}")
    assert answer.text == ""

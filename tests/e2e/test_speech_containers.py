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

from sounds import encode, mux, read, silence, video

CONTAINERS = ("flac", "m4a", "mp3", "mp4", "mpeg", "mpga", "ogg", "wav", "webm")
"""As the API has always listed them."""
FILMS = {"mp4": "mp4", "m4a": "mov", "mpeg": "mpeg", "webm": "matroska", "wav": "avi"}
"""Muxers of those that can hold a picture and no sound."""
CODECS = (
    # Muxer, codec, rate, and the layout of its channels: what recorders, telephones and films make.
    ("ipod", "alac", 44_100, "stereo"),
    ("mp4", "ac3", 48_000, "5.1"),
    ("mov", "pcm_s16be", 22_050, "mono"),
    ("wav", "pcm_s24le", 96_000, "stereo"),
    ("wav", "pcm_f32le", 48_000, "mono"),
    ("wav", "pcm_u8", 11_025, "mono"),
    ("wav", "pcm_alaw", 8_000, "mono"),
    ("wav", "pcm_mulaw", 8_000, "mono"),
    ("wav", "adpcm_ima_wav", 16_000, "mono"),
    ("wav", "adpcm_ms", 22_050, "stereo"),
    ("mov", "libopencore_amrnb", 8_000, "mono"),
    ("ogg", "flac", 32_000, "mono"),
    ("flac", "flac", 192_000, "stereo"),
    ("webm", "libopus", 48_000, "stereo"),
)
FILM_CODECS = {"mp4": "aac", "mov": "aac", "mpeg": "mp2", "matroska": "libopus"}
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


@pytest.mark.parametrize("name", CONTAINERS[::3])
def test_wrong_name(client: openai.OpenAI, spoken: dict[str, bytes], reference: str, name: str) -> None:
    other = CONTAINERS[CONTAINERS.index(name) - 1]
    answer = post(client, spoken[name], f"speech.{other}")
    assert error_rate([reference], [answer.text], "en") <= MOST_ERRORS


@pytest.mark.parametrize("name", FILMS)
def test_no_audio_track(client: openai.OpenAI, name: str) -> None:
    refused(client, video(FILMS[name]), f"film.{name}")


@pytest.mark.parametrize(("muxer", "codec", "rate", "layout"), CODECS)
def test_other_codecs_rates_and_channels(
    client: openai.OpenAI, recordings: Path, reference: str, muxer: str, codec: str, rate: int, layout: str
) -> None:
    content = mux(muxer, codec, rate, read(recordings / SPOKEN), layout=layout)
    answer = post(client, content, f"speech.{muxer}")
    # What a telephone leaves of a voice is harder to understand.
    assert error_rate([reference], [answer.text], "en") <= (MOST_ERRORS if rate > 8_000 else 0.5)
    assert answer.duration == pytest.approx(LENGTH, abs=0.2)


@pytest.mark.parametrize("muxer", FILM_CODECS)
def test_the_first_audio_track_of_a_film(
    client: openai.OpenAI, recordings: Path, reference: str, muxer: str
) -> None:
    said = read(recordings / SPOKEN)
    content = mux(muxer, FILM_CODECS[muxer], 48_000, said, silence(LENGTH), picture=True)
    answer = post(client, content, f"film.{muxer}")
    assert error_rate([reference], [answer.text], "en") <= MOST_ERRORS
    assert post(client, mux(muxer, FILM_CODECS[muxer], 48_000, silence(LENGTH), said), "x").text == ""


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


def test_music_says_nothing(client: openai.OpenAI) -> None:
    """A melody of chords, each struck anew and dying away."""
    rate, beats = 16_000, []
    times = np.arange(rate // 2) / rate
    for root in (262, 330, 392, 523, 440, 349, 294, 262) * 4:
        chord = sum(np.sin(2 * np.pi * root * ratio * times) for ratio in (1, 1.25, 1.5, 2, 3))
        beats.append(chord * np.exp(-4 * times) * 5000)
    answer = post(client, encode(np.concatenate(beats).astype(np.int16)), "melody.wav")
    assert answer.text == "" and answer.duration == pytest.approx(16, abs=0.1)

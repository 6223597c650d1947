"""A recording of an hour, streamed: its first words, who comes behind it, its memory, its end."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import openai
import psutil
import pytest
from benchmarks.processes import Server, engine_process

from sounds import encode, read, silence

SPEECH = "antiphon.workers.speech"
CLIP = "en_pocketsphinx_sense_and_sensibility_01_austen_64kb-0930.wav"
FIRST_SECONDS = 6.0
"""Three times the bar."""
BEHIND_SECONDS = 10.0
MEMORY = 600 * 2**20
WATCHED_DELTAS = 12
MINUTES_5 = 299 * 16_000
"""Samples, and a little less, since an hour is the longest that is taken."""


@pytest.fixture(scope="module")
def hour(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An hour of clips with pauses between them, in under 25 MiB: five minutes, twelve times."""
    clips = [read(path) for path in sorted(recordings.glob("en_*"))]
    chosen = random.Random(3)
    parts: list[np.ndarray] = []
    total = 0
    while total < MINUTES_5:
        parts += [clips[chosen.randrange(len(clips))], silence(chosen.uniform(0.3, 1.5))]
        total += len(parts[-1]) + len(parts[-2])
    path = tmp_path_factory.mktemp("hour") / "hour.mpga"
    path.write_bytes(encode(np.concatenate(parts)[:MINUTES_5], "mpga", bits=32_000) * 12)
    assert path.stat().st_size < 25 * 2**20
    return path


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.url, api_key=server.key, max_retries=0, timeout=120) as found:
        yield found


def resident(server: Server) -> int:
    """Bytes that the speech engine and its decoders hold together."""
    engine = engine_process(server, SPEECH)
    return sum(one.memory_info().rss for one in (engine, *engine.children(recursive=True)))


def decoders(server: Server) -> list[psutil.Process]:
    return engine_process(server, SPEECH).children(recursive=True)


def test_an_hour_is_streamed_beside_others(
    server: Server, client: openai.OpenAI, hour: Path, recordings: Path
) -> None:
    """One pass, since an hour is long: the first words, a clip behind it, memory, and its end."""
    idle = len(decoders(server))
    began = time.monotonic()
    stream = client.audio.transcriptions.create(model="whisper-1", file=hour, stream=True, language="en")
    events = iter(stream)
    first = next(events)
    assert first.type == "transcript.text.delta" and first.delta
    assert time.monotonic() - began <= FIRST_SECONDS

    asked = time.monotonic()
    behind = client.audio.transcriptions.create(model="whisper-1", file=recordings / CLIP, language="en")
    assert behind.text
    assert time.monotonic() - asked <= BEHIND_SECONDS

    for _ in range(WATCHED_DELTAS):
        assert next(events).type == "transcript.text.delta"
    assert resident(server) < MEMORY
    assert len(decoders(server)) == idle + 1

    stream.close()
    deadline = time.monotonic() + 6.0
    while len(decoders(server)) > idle and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(decoders(server)) == idle


def test_a_stream_ends_with_the_whole_text(client: openai.OpenAI, recordings: Path) -> None:
    path = recordings / "en_whisper_jfk.flac"
    events = list(client.audio.transcriptions.create(model="whisper-1", file=path, stream=True))
    *deltas, done = events
    assert [event.type for event in deltas] == ["transcript.text.delta"] * len(deltas)
    assert done.type == "transcript.text.done"
    assert "".join(event.delta for event in deltas).strip() == done.text
    assert done.text == client.audio.transcriptions.create(model="whisper-1", file=path).text

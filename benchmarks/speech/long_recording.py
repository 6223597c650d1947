"""Long recordings made of clips: shuffled by a seed, with pauses, no clip next to itself."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import msgspec
import numpy as np
from numpy.typing import NDArray

from benchmarks.recordings import Recording

RATE = 16_000
OPUS_RATE = 48_000
OPUS_BITS = 32_000
"""A second: an hour stays far under the 25 MiB that an upload may have."""
PAUSES = (0.3, 1.5)
SEED = 20231106


class Piece(msgspec.Struct, frozen=True):
    """A clip and the silence after it, in seconds."""

    clip: Recording
    pause: float


def arrange(clips: Sequence[Recording], seconds: float, seed: int = SEED) -> list[Piece]:
    """Clips in a random order, all of them before any comes again, as many as fit into `seconds`.

    Raises `ValueError` for fewer than two clips: one alone would stand next to itself.
    """
    if len(clips) < 2:
        raise ValueError("a long recording is made of two clips at least")
    chance = random.Random(seed)
    pieces: list[Piece] = []
    left = seconds
    while True:
        waiting = list(clips)
        chance.shuffle(waiting)
        before = len(pieces)
        while (clip := _fitting(waiting, left, pieces)) is not None:
            waiting.remove(clip)
            pieces.append(Piece(clip, chance.uniform(*PAUSES)))
            left -= clip.seconds + pieces[-1].pause
        if len(pieces) == before:
            return pieces


def _fitting(waiting: list[Recording], left: float, pieces: list[Piece]) -> Recording | None:
    last = pieces[-1].clip if pieces else None
    return next((c for c in waiting if c is not last and c.seconds + PAUSES[1] <= left), None)


def reference(pieces: Sequence[Piece]) -> str:
    return " ".join(piece.clip.reference for piece in pieces)


def balanced(clips: Sequence[Recording]) -> list[Recording]:
    """As many clips of each language, in the order of the folder: the first ones."""
    by_language: dict[str, list[Recording]] = {}
    for clip in clips:
        by_language.setdefault(clip.language, []).append(clip)
    most = min(map(len, by_language.values()))
    return [clip for clip in clips if clip in by_language[clip.language][:most]]


def build(pieces: Sequence[Piece], folder: Path) -> Path:
    """The Ogg file (Opus) of the pieces in `folder`, written unless it is there."""
    facts = "\n".join(f"{p.clip.path.name} {p.clip.seconds} {p.pause}" for p in pieces)
    path = folder / f"recording-{hashlib.sha256(facts.encode()).hexdigest()[:12]}.ogg"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        _encode(_sound(pieces), unfinished)
        os.replace(unfinished, path)
    return path


def decode(path: Path) -> NDArray[np.int16]:
    """A clip's sound: 16 kHz, one channel."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
    with av.open(str(path)) as container:
        frames = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
    frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames])


def _sound(pieces: Sequence[Piece]) -> Iterator[NDArray[np.int16]]:
    decoded: dict[Path, NDArray[np.int16]] = {}
    for piece in pieces:
        if piece.clip.path not in decoded:
            decoded[piece.clip.path] = decode(piece.clip.path)
        yield decoded[piece.clip.path]
        yield np.zeros(round(piece.pause * RATE), np.int16)


def _encode(sound: Iterator[NDArray[np.int16]], path: Path) -> None:
    with av.open(str(path), "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=OPUS_RATE, layout="mono")
        stream.bit_rate = OPUS_BITS
        resampler = av.AudioResampler(format=stream.format.name, layout="mono", rate=OPUS_RATE)
        for samples in sound:
            frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
            frame.sample_rate = RATE
            for part in resampler.resample(frame):
                container.mux(stream.encode(part))
        for part in resampler.resample(None):
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))

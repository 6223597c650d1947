"""Ten containers, whole and damaged in every way that a file can be."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np

from bad_input.cases import MULTIPART, SPEECH_SECONDS, TRANSCRIPTIONS, TRANSLATIONS, Case, form
from bad_input.lies import LIES
from sounds import encode, read, silence, tone, video

CONTAINERS = ("wav", "mp3", "mpga", "mpeg", "mp4", "m4a", "webm", "flac", "ogg", "oga")
_WRONG = dict(zip(CONTAINERS, (*CONTAINERS[1:], "exe"), strict=True))
DATA = Path(__file__).parents[1] / "data"
_SPEECH = DATA / "en_pyroomacoustics_cmu_arctic_us_axb_a0005.wav"
_SHORTEST_HEADER = 40
_FINE, _DAMAGED, _LYING = (200,), (200, 400), (200, 400, 413)


@cache
def speech() -> bytes:
    return encode(read(_SPEECH), "ogg")


@cache
def _sound(container: str) -> bytes:
    """A sound without words: as much work for the decoder, hardly any for the model."""
    return encode(np.concatenate([tone(0.7), silence(0.3), tone(0.5, 900.0)]), container)


def _cut(percent: int) -> Callable[[bytes], bytes]:
    return lambda whole: whole[: len(whole) * percent // 100]


def _flipped(share: float, seed: int) -> Callable[[bytes], bytes]:
    """A copy in which this share of the bytes has one bit turned."""

    def flip(whole: bytes) -> bytes:
        chosen = random.Random(seed)
        damaged = bytearray(whole)
        for place in chosen.sample(range(len(whole)), max(1, round(len(whole) * share))):
            damaged[place] ^= 1 << chosen.randrange(8)
        return bytes(damaged)

    return flip


def _headers_flipped(whole: bytes) -> bytes:
    """Only the first bytes are damaged: where lengths, rates and channel counts are."""
    return _flipped(0.05, 3)(whole[:200]) + whole[200:]


DAMAGES: dict[str, tuple[Callable[[bytes], bytes], tuple[int, ...]]] = {
    "header-only": (lambda whole: whole[:_SHORTEST_HEADER], (400,)),
    "cut-1": (_cut(1), (400,)),
    "cut-50": (_cut(50), _DAMAGED),
    "cut-99": (_cut(99), _DAMAGED),
    "no-beginning": (lambda whole: whole[len(whole) // 3 :], _DAMAGED),
    "flipped-few": (_flipped(0.001, 1), _LYING),
    "flipped-many": (_flipped(0.02, 2), _LYING),
    "flipped-headers": (_headers_flipped, _LYING),
    "zeros-inside": (lambda w: w[: len(w) // 3] + bytes(len(w) // 3) + w[len(w) * 2 // 3 :], _DAMAGED),
    "garbage-after": (lambda whole: whole + bytes(range(256)) * 40, _DAMAGED),
    "twice": (lambda whole: whole + whole, _DAMAGED),
}

FILMS = ("mp4", "mov", "matroska", "avi", "mpeg")
"""Containers that can hold a film, here one without sound."""


def cases() -> Iterator[Case]:
    for name in CONTAINERS:
        yield _case(f"{name}-intact", lambda n=name: _sound(n), f"speech.{name}", _FINE)
        yield _case(f"{name}-as-{_WRONG[name]}", lambda n=name: _sound(n), f"a.{_WRONG[name]}", _FINE)
        for damage, (spoil, statuses) in DAMAGES.items():
            yield _case(f"{name}-{damage}", lambda n=name, s=spoil: s(_sound(n)), f"speech.{name}", statuses)
        for lie, tell in LIES[name].items():
            yield _case(f"{name}-{lie}", lambda n=name, t=tell: t(_sound(n)), f"speech.{name}", _LYING)
        yield _case(f"{name}-0-samples", lambda n=name: encode(silence(0), n), f"a.{name}", (400,))
        yield _case(f"{name}-too-short", lambda n=name: encode(silence(0.01), n), f"a.{name}", _DAMAGED)
        yield _case(f"{name}-silence", lambda n=name: encode(silence(2), n), f"a.{name}", _FINE, text="")
    for name in FILMS:
        yield _case(f"{name}-no-track", lambda n=name: video(n), f"film.{name}", (400,))
    yield _case("translation-intact", speech, "speech.ogg", _FINE, path=TRANSLATIONS)
    yield _case("translation-cut", lambda: speech()[:200], "a.ogg", (400,), path=TRANSLATIONS)


def _case(
    name: str,
    recording: Callable[[], bytes],
    filename: str,
    statuses: tuple[int, ...],
    *,
    path: str = TRANSCRIPTIONS,
    text: str | None = None,
) -> Case:
    fields = [("model", "whisper-1")] + ([("language", "en")] if path == TRANSCRIPTIONS else [])
    return Case(
        id=f"audio-{name}",
        path=path,
        body=lambda: form(fields, recording(), filename),
        content_type=MULTIPART,
        statuses=statuses,
        text=text,
        seconds=SPEECH_SECONDS,
    )

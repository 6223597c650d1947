"""How much is measured: a full run of about an hour on two cores, or a quick one of five minutes."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

import msgspec

from benchmarks.recordings import Recording
from benchmarks.speech.long_recording import SEED

PARTS = ("short", "long", "fair")


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Lengths are in seconds of sound."""

    clips_per_language: int | None = None
    """None takes all."""
    clients: tuple[int, ...] = (1, 4, 16)
    rounds: int = 2
    """Of several clients, and of the long recording in English; one client goes through the clips once."""
    clip_repeats: int = 9
    """Of the clip of about 5 s."""
    long: float = 480.0
    hour: float = 3590.0
    """A little less than the limit of an upload, which counts what codecs add."""
    calibration: float = 60.0
    idle_clips: int = 40


FULL = Plan()
QUICK = Plan(
    clips_per_language=2,
    clients=(1, 16),
    rounds=1,
    clip_repeats=3,
    long=60.0,
    hour=180.0,
    calibration=15.0,
    idle_clips=5,
)


def chosen(clips: Sequence[Recording], most: int | None) -> list[Recording]:
    """At most so many of each language: the first ones."""
    seen: Counter[str] = Counter()
    kept = []
    for clip in clips:
        seen[clip.language] += 1
        if most is None or seen[clip.language] <= most:
            kept.append(clip)
    return kept


def ordered(clips: Sequence[Recording], seed: int = SEED) -> list[Recording]:
    """In a random order, but the longest first: last, it would be alone while all other clients are done."""
    longest = max(clips, key=lambda clip: clip.seconds)
    rest = [clip for clip in clips if clip is not longest]
    random.Random(seed).shuffle(rest)
    return [longest, *rest]


def nearest(clips: Sequence[Recording], seconds: float) -> Recording:
    """The English clip whose length is nearest; any language's where there is none in English."""
    english = [clip for clip in clips if clip.language == "en"] or list(clips)
    return min(english, key=lambda clip: abs(clip.seconds - seconds))

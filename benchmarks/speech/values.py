"""What a run of the speech benchmarks measured, as the JSON file of its results holds it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from benchmarks.runs import Run, read

KIND = "speech"
ANTIPHON = "Antiphon"
WHISPER = "faster-whisper"
BATCHED = "BatchedInferencePipeline"
MINIMAL = "minimal server"


class Answer(msgspec.Struct, frozen=True):
    """One transcript; times in seconds from the request."""

    text: str
    seconds: float
    first: float
    """Until the first text; of an answer that is not streamed, until all of it."""


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """All clips through one side, by so many clients at once."""

    side: str
    clients: int
    real_time_factor: float
    """Seconds of sound transcribed in one second."""
    p50: float
    p95: float
    """Latency of a clip, in seconds."""


class Difference(msgspec.Struct, frozen=True):
    """A stretch of words on which Antiphon (`ours`) and faster-whisper (`theirs`) disagree."""

    clip: str
    ours: str
    theirs: str


class ErrorRates(msgspec.Struct, frozen=True, kw_only=True):
    """Word error rates, in percent, of Antiphon and of faster-whisper on the clips of one group."""

    group: str
    """A language, or `others`: every language but English."""
    clients: int
    clips: int
    ours: float
    theirs: float
    low: float
    high: float
    """95 % interval of ours less theirs, in points, by resampling the clips."""


class Short(msgspec.Struct, frozen=True, kw_only=True):
    """Clips of a few seconds."""

    clips: int
    seconds: float
    pace: list[Pace]
    clip_seconds: float
    """Length of the clip of about 5 s."""
    clip_p50: dict[str, float]
    """Its latency by side, in seconds, with one client."""
    errors: list[ErrorRates]
    differing: list[Difference]


class LongPass(msgspec.Struct, frozen=True, kw_only=True):
    """One long recording through one side, streamed: medians over the rounds, the peak over all."""

    recording: str
    side: str
    seconds: float
    """Of sound."""
    real_time_factor: float
    error_rate: float
    substituted: int
    missing: int
    added: int
    """Words."""
    first: float
    peak_mib: float
    """Resident memory of the process and all below it; of Antiphon, its speech engine."""


class Fair(msgspec.Struct, frozen=True, kw_only=True):
    """Latencies, in seconds, of a short clip sent again and again: alone, and behind a long recording."""

    clip_seconds: float
    long_seconds: float
    idle: list[float]
    loaded: list[float]
    real_time_factor: float
    """Of the long recording, meanwhile."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """Of the engine that was measured."""

    model: str
    threads: int
    beam: int
    workers: int
    """Model workers of faster-whisper for several clients: the better of one and one for each core."""


class Results(Run, frozen=True, kw_only=True):
    """One run."""

    facts: Facts
    short: Short | None = None
    long: list[LongPass] | None = None
    fair: Fair | None = None

    def save(self, folder: Path) -> Path:
        """Into a file of its own for each beam."""
        return self.write(folder, KIND, f"-beam{self.facts.beam}")


def newest(folder: Path) -> list[Results]:
    """The newest results of each beam, the widest beam first; empty where there are none."""
    return by_beam(read(folder, KIND, Results))


def by_beam(found: Iterable[Results]) -> list[Results]:
    kept = {one.facts.beam: one for one in sorted(found, key=lambda one: one.written)}
    return [kept[beam] for beam in sorted(kept, reverse=True)]

"""Long recordings, streamed one after the other: throughput, word errors, first text and memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks import figures
from benchmarks.journal import Journal
from benchmarks.recordings import Recording
from benchmarks.speech import accuracy
from benchmarks.speech.lineup import Lineup
from benchmarks.speech.long_recording import Piece, arrange, balanced, build, reference
from benchmarks.speech.memory import Peak
from benchmarks.speech.plan import Plan
from benchmarks.speech.sides import Side
from benchmarks.speech.values import ANTIPHON, BATCHED, WHISPER, LongPass

ENGLISH = "English"
HOUR = "English, the longest"
MIXED = "mixed languages"


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A recording, and who hears it how often."""

    name: str
    pieces: list[Piece]
    rounds: int
    sides: tuple[str, ...] = (ANTIPHON, BATCHED, WHISPER)
    mixed: bool = False

    @property
    def seconds(self) -> float:
        return sum(piece.clip.seconds + piece.pause for piece in self.pieces)

    @property
    def language(self) -> str:
        return accuracy.ANY if self.mixed else "en"


class Run(msgspec.Struct, frozen=True):
    """One transcript of a long recording."""

    seconds: float
    first: float
    peak_mib: float
    errors: accuracy.Count


def cases(clips: Sequence[Recording], plan: Plan) -> list[Case]:
    return [
        Case(name=ENGLISH, pieces=arrange(english(clips), plan.long), rounds=plan.rounds),
        Case(name=MIXED, pieces=arrange(balanced(clips), plan.long), rounds=1, mixed=True),
        longest(clips, plan),
    ]


def longest(clips: Sequence[Recording], plan: Plan) -> Case:
    """The hour, which WhisperModel is spared."""
    return Case(name=HOUR, pieces=arrange(english(clips), plan.hour), rounds=1, sides=(ANTIPHON, BATCHED))


def english(clips: Sequence[Recording]) -> list[Recording]:
    return [clip for clip in clips if clip.language == "en"]


async def measure(
    lineup: Lineup, clips: Sequence[Recording], plan: Plan, folder: Path, journal: Journal
) -> list[LongPass]:
    """`folder` keeps the recordings that are made."""
    found = []
    async with lineup.sides(ANTIPHON, BATCHED, WHISPER) as sides:
        for case in cases(clips, plan):
            runs: dict[str, list[Run]] = {name: [] for name in case.sides}
            for number in range(case.rounds):
                for name in case.sides if number % 2 == 0 else case.sides[::-1]:

                    async def hear(side: Side = sides[name], case: Case = case) -> Run:
                        return await _hear(side, case, build(case.pieces, folder))

                    step = f"long, {case.name}, round {number}, {name}"
                    runs[name].append(await journal.once(step, Run, hear))
            found += [_summary(case, name, rounds) for name, rounds in runs.items()]
    return found


async def _hear(side: Side, case: Case, path: Path) -> Run:
    await side.ready()
    with Peak(await side.processes()) as peak:
        answer = await side.transcribe(path, stream=True, mixed=case.mixed)
    if not peak.bytes:
        raise RuntimeError(f"{side.name} was started anew: its memory was not seen")
    errors = accuracy.count(reference(case.pieces), answer.text, case.language)
    return Run(answer.seconds, answer.first, peak.mib, errors)


def _summary(case: Case, side: str, runs: list[Run]) -> LongPass:
    errors = runs[0].errors
    return LongPass(
        recording=case.name,
        side=side,
        seconds=case.seconds,
        real_time_factor=case.seconds / figures.median([run.seconds for run in runs]),
        error_rate=errors.rate,
        substituted=errors.substituted,
        missing=errors.missing,
        added=errors.added,
        first=figures.median([run.first for run in runs]),
        peak_mib=max(run.peak_mib for run in runs),
    )

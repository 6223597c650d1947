"""Speech: the same recordings through Antiphon and through faster-whisper in this process, clip by clip."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from faster_whisper import WhisperModel

from benchmarks.chat import Target
from benchmarks.recordings import Recording
from benchmarks.words import Difference, differences, error_rate


@dataclass(frozen=True)
class Side:
    """One side's answers to the recordings of one language, in their order."""

    texts: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Measured:
    """Both sides on the recordings of one language."""

    language: str
    recordings: int
    audio_seconds: float
    antiphon_error_rate: float
    faster_whisper_error_rate: float
    antiphon_real_time_factor: float
    """Seconds of sound transcribed in one second: more is faster."""
    faster_whisper_real_time_factor: float
    differing: dict[str, list[Difference]]
    """Per recording, the words on which the two disagree (ours: Antiphon)."""


class FasterWhisper:
    """What a user would run instead: the same model, int8, beam of 5, voice activity filter."""

    def __init__(self, model: Path, threads: int) -> None:
        self._model = WhisperModel(str(model), device="cpu", compute_type="int8", cpu_threads=threads)

    def transcribe(self, path: Path) -> str:
        segments, _ = self._model.transcribe(str(path), beam_size=5, vad_filter=True)
        return "".join(segment.text for segment in segments)


async def compare(
    antiphon: Target, other: FasterWhisper, recordings: list[Recording], step: Callable[[], None]
) -> list[Measured]:
    """Measure language by language, neither side being told it; which side goes first alternates."""
    grouped: dict[str, list[Recording]] = {}
    for recording in recordings:
        grouped.setdefault(recording.language, []).append(recording)
    found = []
    async with antiphon.session() as session:
        # Once unmeasured: first calls pay for what later ones reuse.
        await _transcribe(session, antiphon, recordings[0].path)
        await asyncio.to_thread(other.transcribe, recordings[0].path)
        for language, group in grouped.items():
            ours, theirs = Side(), Side()
            for number, recording in enumerate(group):
                for side in (ours, theirs) if number % 2 == 0 else (theirs, ours):
                    begun = time.perf_counter()
                    if side is ours:
                        text = await _transcribe(session, antiphon, recording.path)
                    else:
                        text = await asyncio.to_thread(other.transcribe, recording.path)
                    side.seconds.append(time.perf_counter() - begun)
                    side.texts.append(text)
                step()
            found.append(_summary(language, group, ours, theirs))
    return found


def _summary(language: str, group: list[Recording], ours: Side, theirs: Side) -> Measured:
    audio = sum(recording.seconds for recording in group)
    references = [recording.reference for recording in group]
    differing = {
        recording.path.name: differences(our_text, their_text, language)
        for recording, our_text, their_text in zip(group, ours.texts, theirs.texts, strict=True)
    }
    return Measured(
        language=language,
        recordings=len(group),
        audio_seconds=audio,
        antiphon_error_rate=error_rate(references, ours.texts, language),
        faster_whisper_error_rate=error_rate(references, theirs.texts, language),
        antiphon_real_time_factor=audio / sum(ours.seconds),
        faster_whisper_real_time_factor=audio / sum(theirs.seconds),
        differing={name: words for name, words in differing.items() if words},
    )


async def _transcribe(session: aiohttp.ClientSession, antiphon: Target, path: Path) -> str:
    form = aiohttp.FormData({"model": antiphon.model, "response_format": "json"})
    content = await asyncio.to_thread(path.read_bytes)
    form.add_field("file", content, filename=path.name, content_type="application/octet-stream")
    async with session.post(f"{antiphon.url}/audio/transcriptions", data=form) as answer:
        if answer.status != 200:
            raise RuntimeError(f"{path.name}: {answer.status} {await answer.text()}")
        return str((await answer.json())["text"])

"""Whisper on CTranslate2: from sections of sound to segments of text."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import faster_whisper
import numpy as np

from antiphon.errors import EngineFailed, InvalidRequest
from antiphon.values import Segment, Transcript, Usage, Word
from antiphon.workers.speech.decode import RATE, Section, seconds, sections
from antiphon.workers.speech.job import Job

LADDER = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Temperatures tried in turn while a result looks wrong, as in the original Whisper."""
RESET_TEMPERATURE = 0.5
"""Above this the text is too uncertain to be a context for what follows."""
WINDOW_TOKENS = 220
"""Longest text of one window of 30 s: half of Whisper's context, as in the original, less the control tokens.

A computation cannot be interrupted, so this bounds how long a cancelled job keeps its slot.
"""
STALLED_SECONDS = 120.0
"""Longer than any single step of the largest model on one slow core."""
FRAMES_PER_SECOND = 100


class Transcriber:
    """A loaded model. `transcribe` may run in as many threads at once as there are slots."""

    def __init__(self, model: Path, *, threads: int, slots: int, audio_seconds: float) -> None:
        self._model = faster_whisper.WhisperModel(
            str(model),
            device="cpu",
            compute_type="int8",
            cpu_threads=max(1, threads // slots),
            num_workers=slots,
            local_files_only=True,
        )
        self._audio_seconds = audio_seconds
        self._running: set[Job] = set()

    def warm_up(self) -> None:
        """Run every part of the work once, so that the first request does not pay for it."""
        noise = np.random.default_rng(0).normal(0, 0.05, RATE).astype(np.float32)
        for vad in (False, True):
            found, _ = self._model.transcribe(noise, temperature=0.0, vad_filter=vad, max_new_tokens=4)
            for _ in found:
                continue

    def check(self) -> None:
        """Raise `EngineFailed` if work is under way and has not moved on for `STALLED_SECONDS`."""
        now = time.monotonic()
        if any(now - job.stepped > STALLED_SECONDS for job in list(self._running)):
            raise EngineFailed("The speech engine does not move on.")

    def transcribe(self, job: Job) -> Iterator[Segment | Transcript]:
        """Segments as soon as they are known, last one `Transcript`.

        To be iterated in a thread: every `next` decodes and computes. Raises what `decode.sections` raises,
        `InvalidRequest` for a language that the model does not know, `ClientGone` once the job is cancelled.
        """
        with self._at_work(job):
            yield from self._transcribe(job)

    def measure(self, job: Job) -> float:
        """The seconds of sound that `transcribe` would find, without transcribing it.

        To be called in a thread. Raises what `transcribe` raises before its first segment.
        """
        with self._at_work(job):
            return seconds(job.file, self._audio_seconds, job.step)

    @contextmanager
    def _at_work(self, job: Job) -> Iterator[None]:
        self._refuse_unknown(job.language)
        self._running.add(job)
        try:
            yield
        finally:
            self._running.discard(job)

    def _transcribe(self, job: Job) -> Iterator[Segment | Transcript]:
        model = _interruptible(self._model, job.step)
        language, context = job.language, job.prompt
        count = end = 0
        for section in sections(job.file, self._audio_seconds, job.step):
            job.step()
            end = section.end
            if not section.samples.any():
                continue
            found, info = model.transcribe(
                section.samples,
                language=language,
                task=job.task,
                temperature=LADDER if job.temperature == 0 else job.temperature,
                initial_prompt=context,
                word_timestamps=job.words,
                vad_filter=True,
                max_new_tokens=WINDOW_TOKENS,
            )
            texts: list[str] = []
            for raw in found:
                yield _segment(raw, count, section)
                count += 1
                texts = [*texts, raw.text] if raw.temperature <= RESET_TEMPERATURE else []
            if info.duration_after_vad > 0:
                # Silence says nothing of the language.
                language, context = info.language, "".join(texts) or None
        duration = end / RATE
        yield Transcript(language=language or "en", duration=duration, usage=Usage(seconds=duration))

    def _refuse_unknown(self, language: str | None) -> None:
        if language is None:
            return
        known = self._model.hf_tokenizer.token_to_id(f"<|{language}|>") is not None
        if not (known if self._model.model.is_multilingual else language == "en"):
            raise InvalidRequest("The model does not know this language.", param="language")


class _Interruptible:
    """CTranslate2's model, calling `step` before each computation. These are what takes the time."""

    def __init__(self, model: Any, step: Callable[[], None]) -> None:
        self._model = model
        self._step = step

    def __getattr__(self, name: str) -> Any:
        if name in ("encode", "generate", "align", "detect_language"):
            self._step()
        return getattr(self._model, name)


def _interruptible(model: Any, step: Callable[[], None]) -> Any:
    """A view of a `WhisperModel` for one job; the weights are shared."""
    view = copy.copy(model)
    view.model = _Interruptible(model.model, step)
    return view


def _segment(raw: Any, number: int, section: Section) -> Segment:
    """faster-whisper's segment of one section as a segment of the recording, in plain Python numbers."""
    offset = section.start / RATE
    return Segment(
        id=number,
        seek=int(raw.seek) + round(offset * FRAMES_PER_SECOND),
        start=_seconds(offset + raw.start),
        end=_seconds(offset + raw.end),
        text=raw.text,
        tokens=[int(token) for token in raw.tokens],
        temperature=float(raw.temperature),
        avg_logprob=float(raw.avg_logprob),
        compression_ratio=float(raw.compression_ratio),
        no_speech_prob=float(raw.no_speech_prob),
        words=[Word(w.word, _seconds(offset + w.start), _seconds(offset + w.end)) for w in raw.words or ()],
    )


def _seconds(value: float) -> float:
    return round(float(value), 3)

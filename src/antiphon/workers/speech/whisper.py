"""A loaded Whisper model: batches of windows in, text with times out."""

from __future__ import annotations

import ctypes
import logging
import math
import re
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import ctranslate2
import msgspec
import numpy as np
from faster_whisper.feature_extractor import FeatureExtractor
from numpy.typing import NDArray

from antiphon.errors import EngineFailed
from antiphon.values import Segment
from antiphon.workers.speech import timing
from antiphon.workers.speech.judge import Attempt, best, echoes, next_rung, prompted, verdict
from antiphon.workers.speech.options import Device, Precision
from antiphon.workers.speech.schedule import Task
from antiphon.workers.speech.tokens import TICK, Language, Piece
from antiphon.workers.speech.values import RATE, Heard, Job, Rung, Window

FRAMES = 100
"""Frames of a spectrogram a second."""
WHOLE = 30.0
"""Seconds of sound that Whisper was trained on."""
CONTEXT_TOKENS = 448
"""What Whisper's decoder has room for: the prompt, what every answer begins with, and the text."""
WINDOW_TOKENS = 220
"""Longest text of a window that is read with a short context, as in the original."""
TOKENS_A_SECOND = 16
"""More than anybody speaks in most scripts: a model that writes faster is in a loop, and is stopped early."""
MOST_TOKENS_A_SECOND = 40
"""More than anybody speaks in those that take a token for each byte: what the whole context may give."""
BEST_OF = 5
OWN = 0.8
"""How sure a window must be of another language than its recording's."""
FIRST_TIMESTAMP = 50
"""Latest first timestamp, in ticks, as in the original."""
_ORDINARY = 10
"""Seconds of the window whose cost stands for all that are not cut yet."""
_CUBLAS = "libcublas.so.12"
_BASE_BYTES = 145_217_532
"""Weights of the model whose speed the costs below are."""

_log = logging.getLogger(__name__)


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """How much a model reads and how carefully it writes. Seconds."""

    beam: int = 5
    pad: float = 3.0
    floor: float = 5.0
    step: float = 1.0


class Whisper:
    """One model. `hear` may run in as many threads at once as `lanes` says."""

    def __init__(
        self,
        folder: Path,
        shape: Shape,
        *,
        lanes: int,
        device: Device = "auto",
        precision: Precision = "auto",
    ) -> None:
        on_gpu = is_gpu(device)
        self._model: Any = ctranslate2.models.Whisper(
            str(folder),
            device="cuda" if on_gpu else "cpu",
            compute_type=("float16" if on_gpu else "int8") if precision == "auto" else precision,
            # Also for the spare lane, which shares the processor with the others; a GPU takes turns.
            inter_threads=1 if on_gpu else lanes + 1,
            intra_threads=1,
        )
        self._shape = shape
        self._aligns = aligns(folder)
        self._multilingual: bool = self._model.is_multilingual
        self._language = Language(folder, multilingual=self._multilingual)
        self._features = FeatureExtractor(feature_size=self._model.n_mels)

    def warm_up(self) -> None:
        """Run every part of the work once, so that the first request does not pay for it."""
        noise = (np.random.default_rng(0).normal(0, 0.05, RATE) * 32767).astype(np.int16)
        features = self._read([noise], round(self._shape.floor * FRAMES))
        encoded = self._model.encode(features)
        if self._multilingual:
            self._model.detect_language(encoded)
        start = self._language.start("en", "transcribe")
        self._model.generate(encoded, [start], beam_size=self._shape.beam, max_length=8)

    def hear(self, tasks: Sequence[Task]) -> list[Heard | Rung]:
        """The text of each window, or how it is to be tried again. All tasks have one `key`."""
        rung = tasks[0].rung
        samples = [task.window.samples for task in tasks]
        encoded = self._model.encode(self._read(samples, frames(tasks[0].window, rung, self._shape)))
        languages = self._languages(tasks, encoded)
        results, limits = self._generate(tasks, encoded, [code for code, _ in languages])
        heard: list[Heard | Rung] = []
        for row, (task, result, limit) in enumerate(zip(tasks, results, limits, strict=True)):
            code, certainty = languages[row]
            attempt = self._attempt(task, result, limit, code, certainty)
            task.attempts.append(attempt)
            found = verdict(attempt)
            further = next_rung(rung, task.job) if found == "wrong" else None
            if further is not None:
                heard.append(further)
            elif found == "silent":
                heard.append(Heard(segments=(), language=code, certainty=certainty))
            else:
                chosen = attempt if found == "good" else best(task.attempts)
                heard.append(self._heard(task, chosen, encoded, row))
        return heard

    def _read(self, samples: Sequence[NDArray[np.int16]], count: int) -> Any:
        """Spectrograms of `count` frames. What is missing is zero, not silence, which is far below."""
        whole = np.zeros((len(samples), self._model.n_mels, count), np.float32)
        for row, sound in zip(whole, samples, strict=True):
            found = self._features(sound.astype(np.float32) / np.float32(32768))
            kept = min(count, found.shape[-1])
            row[:, :kept] = found[:, :kept]
        return ctranslate2.StorageView.from_array(whole)

    def _languages(self, tasks: Sequence[Task], encoded: Any) -> list[tuple[str, float]]:
        """The language of each window, given, the recording's, or heard, and how sure the model is of it."""
        told = [(task.language or "en", 1.0) for task in tasks]
        if not self._multilingual or all(task.language and not _may_differ(task) for task in tasks):
            return told
        detected = self._model.detect_language(encoded)
        for row, (task, [(token, certainty), *_]) in enumerate(zip(tasks, detected, strict=True)):
            if task.language is None or (_may_differ(task) and certainty >= OWN):
                told[row] = token.strip("<|>"), certainty
        return told

    def _generate(
        self, tasks: Sequence[Task], encoded: Any, languages: Sequence[str]
    ) -> tuple[list[Any], list[int]]:
        """What the model writes for each window, and how many tokens each may be long.

        All may be as long as the one that may be longest: what is longer than its own limit has no end.
        """
        job, rung = tasks[0].job, tasks[0].rung
        context = self._language.context(job.prompt) if prompted(rung, job) else []
        prompts = [[*context, *self._language.start(code, job.task)] for code in languages]
        limits = [_limit(task.window, rung, len(prompts[0])) for task in tasks]
        longest = max(limits)
        if rung.temperature > 0:
            search = {
                "beam_size": 1,
                "num_hypotheses": BEST_OF,
                "sampling_topk": 0,
                "sampling_temperature": rung.temperature,
            }
        else:
            search = {"beam_size": self._shape.beam}
        results: list[Any] = self._model.generate(
            encoded,
            prompts,
            # CTranslate2 spares half of this for the prompt, whether there is one or not, or as much as it
            # takes if that is more, all but the token that the text follows.
            max_length=max(2 * longest, len(prompts[0]) - 1 + longest),
            return_scores=True,
            return_no_speech_prob=True,
            suppress_tokens=self._language.suppressed,
            max_initial_timestamp_index=FIRST_TIMESTAMP,
            **search,
        )
        return results, limits

    def _attempt(self, task: Task, result: Any, limit: int, code: str, certainty: float) -> Attempt:
        tokens = result.sequences_ids[0]
        text = self._language.text(tokens).strip()
        said = [token for token in tokens if token < self._language.eot]
        prompt = task.job.prompt if prompted(task.rung, task.job) else None
        since, until = self._language.last(tokens)
        return Attempt(
            rung=task.rung,
            tokens=tokens,
            text=text,
            avg_logprob=result.scores[0] * len(tokens) / (len(tokens) + 1),
            no_speech_prob=result.no_speech_prob,
            ended=len(tokens) < limit,
            language=code,
            certainty=certainty,
            echoes=echoes(said, self._language.text),
            parrots=_parrots(text, prompt or ""),
            sound=task.window.seconds,
            since=since,
            until=until,
        )

    def _heard(self, task: Task, attempt: Attempt, encoded: Any, row: int) -> Heard:
        window = task.window
        pieces = self._language.pieces(attempt.tokens, window.seconds)
        words = self._words(task, attempt, pieces, encoded, row)
        offset = window.start / RATE
        segments = tuple(
            Segment(
                id=0,
                seek=round(offset * FRAMES),
                start=_seconds(offset + piece.start),
                end=_seconds(offset + piece.end),
                text=self._language.text(piece.tokens),
                tokens=list(piece.tokens),
                temperature=attempt.rung.temperature,
                avg_logprob=attempt.avg_logprob,
                compression_ratio=attempt.compression_ratio,
                no_speech_prob=attempt.no_speech_prob,
                words=[
                    msgspec.structs.replace(
                        word, start=_seconds(offset + word.start), end=_seconds(offset + word.end)
                    )
                    for word in said
                ],
            )
            for piece, said in zip(pieces, words, strict=True)
        )
        return Heard(segments=segments, language=attempt.language, certainty=attempt.certainty)

    def _words(
        self, task: Task, attempt: Attempt, pieces: Sequence[Piece], encoded: Any, row: int
    ) -> list[list[Any]]:
        """Words where they are asked for, or where a neighbour shares sound; each piece's are a list.

        Raises `EngineFailed` if they are asked for and the model does not tell which of its heads look at
        the sound. Neighbours are joined without words, by their pieces, then.
        """
        tokens = [token for piece in pieces for token in piece.tokens if token < self._language.eot]
        wanted = task.job.words or (self._aligns and (task.window.head or task.window.tail))
        if not tokens or not wanted:
            return [[] for _ in pieces]
        if not self._aligns:
            raise EngineFailed("The model cannot tell when words are said.")
        [found] = self._model.align(
            _row(encoded, row),
            self._language.start(attempt.language, task.job.task),
            [tokens],
            min(round(task.window.seconds * FRAMES), round(WHOLE * FRAMES)),
        )
        written = "en" if task.job.task == "translate" else attempt.language
        return timing.words(found, pieces, self._language, written)


def frames(window: Window, rung: Rung, shape: Shape) -> int:
    """The spectrogram's length: the window and a pad, at least the floor, in whole steps."""
    if rung.full:
        return round(WHOLE * FRAMES)
    wanted = max(window.seconds + shape.pad, shape.floor)
    return min(round(math.ceil(wanted / shape.step) * shape.step * FRAMES), round(WHOLE * FRAMES))


def key(job: Job, window: Window, rung: Rung, shape: Shape) -> Hashable:
    """Tasks with the same key can be one batch: one model, one length, one search, prompts of one length."""
    return job.model, frames(window, rung, shape), rung.temperature, job.task, job.prompt


def cost(window: Window, rung: Rung, shape: Shape, weights: int) -> float:
    """Seconds that one thread is expected to take, from the sizes of the window and of the model's file.

    The measured costs of whisper-base in int8; who schedules learns by how much this machine differs.
    """
    context = frames(window, rung, shape) / FRAMES
    reading = 0.007 * context + 0.00032 * context**2
    writing = 0.005 * (1 + 0.25 * shape.beam) * min(4 * window.seconds, WINDOW_TOKENS) * 0.5
    return (reading + writing) * weights / _BASE_BYTES


def rate(shape: Shape, weights: int) -> float:
    """Seconds of one thread for a second of sound in windows of ordinary length."""
    window = Window(number=0, start=0, samples=np.empty(_ORDINARY * RATE, np.int16))
    return cost(window, Rung(), shape, weights) / _ORDINARY


def _may_differ(task: Task) -> bool:
    """Whether a window may be in another language than its recording."""
    return task.rung.full and task.job.language is None


def _limit(window: Window, rung: Rung, before: int) -> int:
    """The longest text of a window, behind so many tokens of prompt and start."""
    room = CONTEXT_TOKENS - before
    if rung.full:
        return min(room, 32 + round(MOST_TOKENS_A_SECOND * window.seconds))
    return min(room, WINDOW_TOKENS, 32 + round(TOKENS_A_SECOND * window.seconds))


def _parrots(text: str, prompt: str) -> bool:
    """Whether all words of a text stand in a prompt, in whatever order."""
    known = prompt.casefold()
    return all(word in known for word in re.findall(r"\w+", text.casefold()))


def is_gpu(device: Device) -> bool:
    """Whether models run on a GPU: "auto" takes one whose library for products is there."""
    if device != "auto" or not ctranslate2.get_cuda_device_count():
        return device == "cuda"
    try:
        ctypes.CDLL(_CUBLAS)
    except OSError:
        _log.warning("the GPU is left alone: there is no %s, see README.md, Settings", _CUBLAS)
        return False
    return True


def aligns(folder: Path) -> bool:
    """Whether a model's configuration has what words need, which some converters leave out."""
    try:
        return bool(msgspec.json.decode((folder / "config.json").read_bytes()).get("alignment_heads"))
    except (OSError, msgspec.DecodeError):
        return False


def _row(encoded: Any, row: int) -> Any:
    """One row of an encoder's output, where the aligner takes one language at a time."""
    if encoded.shape[0] == 1:
        return encoded
    on_host = encoded.to_device(ctranslate2.Device.cpu)
    return ctranslate2.StorageView.from_array(np.array(on_host)[row : row + 1])


def _seconds(value: float) -> float:
    return round(value, 3)


assert round(1 / TICK) * 2 == FRAMES

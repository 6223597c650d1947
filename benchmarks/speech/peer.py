"""faster-whisper in a process of its own, so that its memory can be told: JSON lines in, JSON lines out.

python -m benchmarks.speech.peer --model FOLDER --threads N --workers N --beam N [--batched]
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
from faster_whisper import BatchedInferencePipeline, WhisperModel

from benchmarks.speech.values import Answer

CLIENTS = 16
BATCH = 8
"""Windows in a batch of BatchedInferencePipeline: its default; 16 is slower on few cores."""


class Question(msgspec.Struct, frozen=True):
    number: int
    path: str
    mixed: bool = False
    """Whether languages change within the recording."""


class Reply(msgspec.Struct, frozen=True):
    number: int
    answer: Answer | None = None
    error: str = ""


class Transcriber:
    """int8, voice activity filter, language detected: what a user would run."""

    def __init__(self, model: str, threads: int, workers: int, beam: int, batched: bool) -> None:
        """`threads` are for each of the `workers`."""
        loaded = WhisperModel(
            model, device="cpu", compute_type="int8", cpu_threads=threads, num_workers=workers
        )
        self._transcribe: Callable[..., Any] = loaded.transcribe
        self._options: dict[str, Any] = {"beam_size": beam, "vad_filter": True}
        if batched:
            self._transcribe = BatchedInferencePipeline(loaded).transcribe
            self._options["batch_size"] = BATCH

    def transcribe(self, sound: Any, mixed: bool = False) -> Answer:
        """`sound` is a path or an open file."""
        begun = time.perf_counter()
        segments, _ = self._transcribe(sound, multilingual=mixed, **self._options)
        texts: list[str] = []
        first = 0.0
        for segment in segments:
            if not first and segment.text.strip():
                first = time.perf_counter() - begun
            texts.append(segment.text)
        seconds = time.perf_counter() - begun
        # The batched pipeline's pieces begin without a space.
        return Answer(" ".join(text.strip() for text in texts), seconds, first or seconds)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speech.peer")
    parser.add_argument("--model", required=True)
    for name in ("--threads", "--workers", "--beam"):
        parser.add_argument(name, type=int, required=True)
    parser.add_argument("--batched", action="store_true")
    given = parser.parse_args()
    # Libraries print too: what they print goes to the log, never among the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    transcriber = Transcriber(given.model, given.threads, given.workers, given.beam, given.batched)
    lock = threading.Lock()

    def answer(question: Question) -> None:
        try:
            reply = Reply(question.number, transcriber.transcribe(question.path, question.mixed))
        except Exception as problem:
            reply = Reply(question.number, error=repr(problem))
        with lock:
            answers.write(msgspec.json.encode(reply) + b"\n")
            answers.flush()

    with ThreadPoolExecutor(CLIENTS) as pool:
        for line in sys.stdin.buffer:
            pool.submit(answer, msgspec.json.decode(line, type=Question))


if __name__ == "__main__":
    main()

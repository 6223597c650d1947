"""A desk of the speech engine: real decoders, windows and lanes, and models that hear what they are told."""

from __future__ import annotations

import asyncio
import gc
import os
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np
import psutil
import pytest

import sounds
from antiphon.values import Segment
from antiphon.workers.speech.decoder import Decoders, _Answer
from antiphon.workers.speech.desk import Desk
from antiphon.workers.speech.frames import Frame
from antiphon.workers.speech.lanes import Lanes
from antiphon.workers.speech.schedule import Schedule, Task
from antiphon.workers.speech.transcriber import Transcriber
from antiphon.workers.speech.values import RATE, Heard, Rung
from until import until

SECONDS = 20.0
"""Longest wait of a thread for its test."""

WINDOWS = 3
"""Of the fixture `clip`."""

Desks = Callable[..., AbstractAsyncContextManager["House"]]
"""Opens `house` with decoders and models of a kind; the options are `house`'s own."""
Answer = Heard | Rung | Exception


def heard(task: Task) -> Heard:
    """One segment as long as the window, which tells the window's number."""
    window = task.window
    said = Segment(
        id=0,
        seek=round(window.start / RATE * 100),
        start=window.start / RATE,
        end=window.end / RATE,
        text=f" window {window.number}",
        tokens=[1, 2],
        temperature=0.0,
        avg_logprob=-0.5,
        compression_ratio=1.0,
        no_speech_prob=0.1,
    )
    return Heard(segments=(said,), language=task.language or "en")


def text(segments: Sequence[Segment]) -> str:
    """What all of them say."""
    return "".join(segment.text for segment in segments).strip()


class Ear:
    """In place of `Whisper`: hears `answers`; while `open` is not set, batches stand still."""

    def __init__(self) -> None:
        self.batches: list[list[Task]] = []
        self.answers: Callable[[Task], Answer] = heard
        self.open = threading.Event()
        self.open.set()

    def load(self, folder: Path, shape: Any, **given: Any) -> Ear:
        return self

    def warm_up(self) -> None:
        return

    def hear(self, tasks: Sequence[Task]) -> list[Heard | Rung]:
        self.batches.append(list(tasks))
        assert self.open.wait(SECONDS)
        answers = []
        for task in tasks:
            answer = self.answers(task)
            if isinstance(answer, Exception):
                raise answer
            answers.append(answer)
        return answers

    @property
    def seen(self) -> list[tuple[str, int]]:
        """Job and window of all that was heard, in order."""
        return [(task.job.id, task.window.number) for batch in self.batches for task in batch]


def write_tokens(folder: Path, *languages: str, first: int = 50_257) -> None:
    """What a model's folder tells of what the model can do: its languages, and that it can align words."""
    (folder / "config.json").write_text('{"alignment_heads": [[3, 1]]}')
    names = ["endoftext", "startoftranscript", *languages, "translate", "transcribe"]
    tokens = [{"id": first + n, "content": f"<|{name}|>"} for n, name in enumerate(names)]
    (folder / "tokenizer.json").write_bytes(msgspec.json.encode({"added_tokens": tokens, "model": {}}))


@dataclass
class House:
    """A desk, and what it works with."""

    desk: Desk
    lanes: Lanes
    decoders: Decoders

    def children(self) -> list[psutil.Process]:
        """Decoding processes, the warm one aside."""
        assert self.decoders._parent is not None
        return psutil.Process(self.decoders._parent._process.pid).children()

    async def left_nothing(self) -> None:
        """Return once no recording is open, and no child, task or batch is left. Raises `TimeoutError`."""
        await until(lambda: not self.desk._open and not self.children() and self.idle())
        this = asyncio.current_task()
        await until(lambda: all(task is this for task in _own_tasks()))

    def idle(self) -> bool:
        return not self.lanes._running and not len(self.lanes._schedule)


def silent_decoding(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Let children be at work and nothing be heard of them; set once one is being waited for.

    A child that measures a recording is done sooner than a test could look.
    """
    reached = asyncio.Event()

    async def frame(answer: object) -> Frame:
        reached.set()
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(_Answer, "frame", frame)
    return reached


def _own_tasks() -> list[asyncio.Task[Any]]:
    """Tasks of the desk, not of the test's own clients."""
    return [task for task in asyncio.all_tasks() if "Desk." in repr(task.get_coro())]


@asynccontextmanager
async def house(
    decoders: Decoders,
    transcriber: Transcriber,
    *,
    slots: int = 4,
    lanes: int = 1,
    seconds: float = 600,
    window: float = 15.0,
) -> AsyncIterator[House]:
    """A desk with lanes of its own. Afterwards nothing of it is left, or the test fails."""
    await decoders.start()
    gc.collect()  # What earlier tests left in cycles closes now, not in between.
    threads, descriptors = _threads(), _descriptors()
    working = Lanes(transcriber.hear, lanes, schedule=Schedule(), renew=transcriber.renew)
    desk = Desk(decoders, transcriber, working, slots=slots, audio_seconds=seconds, window=window)
    whole = House(desk, working, decoders)
    try:
        yield whole
        await whole.left_nothing()
    finally:
        desk.close()
        await asyncio.to_thread(working.close, SECONDS)
    await until(lambda: _threads() == threads)
    gc.collect()
    await until(lambda: _descriptors() == descriptors)


def _threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith(("lane-", "cut"))}


def _descriptors() -> int:
    return len(os.listdir("/dev/fd"))


@contextmanager
def upload(data: bytes) -> Iterator[BinaryIO]:
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        yield file


def spaced(*parts: sounds.Samples) -> sounds.Samples:
    """Stretches of speech with a silence after each, so that each is a window."""
    return np.concatenate([piece for part in parts for piece in (part, sounds.silence(2))])

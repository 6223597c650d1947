"""One real server for the whole corpus, warm before the first case, watched until after the last."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil
import pytest
from benchmarks.processes import Server, antiphon, chat_engine, engine_process

from bad_input import audio_cases
from bad_input.cases import CHAT, MULTIPART, RENDER, TRANSCRIPTIONS, TRANSLATIONS, Case, answered, form
from sounds import encode, silence
from sounds import speech as long_speech

_SAMPLE_SECONDS = 0.02
_WARMING = 3
"""Rounds of good requests, all at once: every thread of the engine has its own memory."""
WAITS = {"ANTIPHON_BODY_SECONDS": "2", "ANTIPHON_HEADER_SECONDS": "2"}
"""Shorter than by default, so that requests that never end are given up sooner."""


class Watch:
    """The memory of a server and its speech engine, together, and the folders that they write to."""

    def __init__(self, server: Server, temporary: Path) -> None:
        self.server = server
        self.processes = (psutil.Process(server.pid), _speech_engine(server))
        self.chat_engine = engine_process(server, chat_engine(server))
        self._folders = (server.home / "uploads", server.home / "run", temporary)
        self._peak = self._resident()
        self._warm = self._each()
        self._warm_files = self._files()
        self._ended = threading.Event()
        self._sampling = threading.Thread(target=self._sample)

    def __enter__(self) -> Watch:
        self._sampling.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._sampling.join()

    def warm(self) -> None:
        """This moment, when nothing runs, is as good as any: the largest of these are compared with."""
        self._warm = [max(both) for both in zip(self._warm, self._each(), strict=True)]
        self._warm_files = self._files()

    def growth(self) -> tuple[int, int]:
        """By how many bytes the gateway and the speech engine are larger now than when they were warm."""
        gateway, speech = (now - warm for now, warm in zip(self._each(), self._warm, strict=True))
        return gateway, speech

    @contextmanager
    def peak(self) -> Iterator[Callable[[], int]]:
        """Ask by how many bytes they have grown at most since the block began."""
        before = self._peak = self._resident()
        yield lambda: max(self._peak, self._resident()) - before

    def left(self) -> set[Path]:
        """The new files where uploads, engines and libraries put theirs."""
        return self._files() - self._warm_files

    def _resident(self) -> int:
        return sum(self._each())

    def _each(self) -> list[int]:
        return [process.memory_info().rss for process in self.processes]

    def _files(self) -> set[Path]:
        return {path for folder in self._folders for path in folder.rglob("*")}

    def _sample(self) -> None:
        while not self._ended.wait(_SAMPLE_SECONDS) and all(p.is_running() for p in self.processes):
            self._peak = max(self._peak, self._resident())


def _speech_engine(server: Server) -> psutil.Process:
    found = [
        child
        for child in psutil.Process(server.pid).children(recursive=True)
        if "antiphon.workers.speech" in child.cmdline()
    ]
    assert len(found) == 1
    return found[0]


@pytest.fixture(scope="module")
def watch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watch]:
    """The server with its watch, once it has answered requests of every kind that are as they should be."""
    temporary = tmp_path_factory.mktemp("temporary")
    settings = {**WAITS, "TMPDIR": str(temporary)}
    with (
        antiphon(tmp_path_factory.mktemp("home"), settings) as server,
        Watch(server, temporary) as watching,
    ):
        for _ in range(_WARMING):
            with ThreadPoolExecutor(len(list(fine()))) as together:
                list(together.map(partial(answered, server), fine()))
            watching.warm()
        yield watching


@pytest.fixture(scope="module")
def server(watch: Watch) -> Server:
    return watch.server


def fine() -> Iterator[Case]:
    """Requests that are as they should be."""
    asked = b'{"model":"gpt-3.5-turbo","max_tokens":4,"messages":[{"role":"user","content":"Say hello."}]}'
    yield Case(id="chat", path=CHAT, body=lambda: asked, statuses=(200,), seconds=30)
    # Where the engine that is preferred cannot do this, another one starts, and goes on running.
    told = asked[:-1] + b',"logprobs":true}'
    yield Case(id="chat-told", path=CHAT, body=lambda: told, statuses=(200,), seconds=30)
    shown = b'{"model":"gpt-3.5-turbo","messages":[{"role":"user","content":"' + b"word " * 200_000 + b'"}]}'
    yield Case(id="render", path=RENDER, body=lambda: shown, statuses=(200,), seconds=30)
    for path in (TRANSCRIPTIONS, TRANSLATIONS):
        yield Case(
            id="speech",
            path=path,
            body=lambda: form(file=audio_cases.speech()),
            content_type=MULTIPART,
            statuses=(200,),
            seconds=60,
        )
    # The second has many windows, whose batches take the most memory.
    for name, samples in (("long-silence", silence(240)), ("long-speech", long_speech(audio_cases.DATA))):
        yield Case(
            id=name,
            path=TRANSCRIPTIONS,
            body=lambda samples=samples: form(file=encode(samples)),
            content_type=MULTIPART,
            statuses=(200,),
            seconds=120,
        )

"""The most memory that processes and all below them held at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType

import psutil

PERIOD = 0.1


class Peak:
    """Looks again and again, in a thread of its own, while it is open.

    Sums resident memory, so what a child shares with its parent counts twice: more than there is, never less.
    """

    def __init__(self, processes: Iterable[int]) -> None:
        self._processes = list(processes)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.bytes = 0

    @property
    def mib(self) -> float:
        return self.bytes / 2**20

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            self.bytes = max(self.bytes, resident(self._processes))
            if self._closed.wait(PERIOD):
                return


def resident(processes: Iterable[int]) -> int:
    """Bytes that the processes and all below them hold now; those that ended hold nothing."""
    total = 0
    for pid in processes:
        with suppress(psutil.Error):
            top = psutil.Process(pid)
            for process in (top, *top.children(recursive=True)):
                with suppress(psutil.Error):
                    total += process.memory_info().rss
    return total

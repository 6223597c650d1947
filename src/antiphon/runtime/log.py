"""What engine processes print, kept in files of a bounded size."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path

MAX_BYTES = 1_000_000
_CHUNK = 64 * 1024


class ProcessLog:
    """Copies a process's output to a file; when it is full it becomes `<name>.1`, replacing the one before.

    A thread copies, so that the process never waits for the event loop, nor the event loop for the disk.
    """

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES) -> None:
        self._path = path
        self._max_bytes = max_bytes
        path.parent.mkdir(parents=True, exist_ok=True)
        self._reader, self.writer = os.pipe()
        """`writer` is the file descriptor to give to the process as its output."""
        self._thread = threading.Thread(target=self._copy, name=f"log-{path.stem}", daemon=True)
        self._thread.start()

    def started(self) -> None:
        """The process holds the writing end now: drop ours, so that its exit ends the log."""
        os.close(self.writer)

    def join(self, timeout: float) -> None:
        """Wait until everything printed is in the file. Blocks: call it from a thread."""
        self._thread.join(timeout)

    def _copy(self) -> None:
        with open(self._reader, "rb", buffering=0) as pipe:
            while chunk := pipe.read(min(_CHUNK, self._max_bytes)):
                self._write(chunk)

    def _write(self, chunk: bytes) -> None:
        # A full disk costs output, not the engine: its pipe must still be emptied.
        with suppress(OSError):
            if self._path.exists() and self._path.stat().st_size + len(chunk) > self._max_bytes:
                os.replace(self._path, self._path.with_name(self._path.name + ".1"))
            with self._path.open("ab") as file:
                file.write(chunk)

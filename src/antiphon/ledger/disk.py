"""Where journals lie: folders of append-only files, each folder locked by the process that writes it."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, TypeVar

T = TypeVar("T")

_LOCK = "lock"


class Disk(Protocol):
    """What a journal asks of a disk. Every method may block, and raises `OSError`.

    A simulated one may forget at a crash whatever was not synced.
    """

    def create(self, folder: str) -> None:
        """A new folder, empty and locked by this process."""

    def folders(self) -> list[str]:
        """Every folder there is, whoever holds it."""

    def lock(self, folder: str) -> bool:
        """Take a folder whose process has died; False while a process, this one included, holds it."""

    def files(self, folder: str) -> list[str]:
        """The names of its files, in their order."""

    def read(self, folder: str, name: str) -> bytes: ...

    def append(self, folder: str, name: str, data: bytes) -> None:
        """Write at the end of a file, made at need. After an error any part may have been written."""

    def sync(self, folder: str, name: str) -> None:
        """Return once all that was written to the file survives a loss of power."""

    def truncate(self, folder: str, name: str, size: int) -> None:
        """Cut the file to its first `size` bytes, as durably as `sync`."""

    def remove(self, folder: str, name: str) -> None: ...

    def drop(self, folder: str) -> None:
        """Remove a folder that this process holds, with all that is in it, and its lock."""

    def release(self, folder: str) -> None:
        """Let go of a folder: whoever wants it may take it."""


class RealDisk:
    """Folders under `root`, which is made with mode 0700. Not for several threads at once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._locks: dict[str, int] = {}
        self._open: dict[tuple[str, str], int] = {}

    def create(self, folder: str) -> None:
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        # It gets its name once it is locked: nobody may take it for that of a dead process before.
        draft = self._root / f".{folder}"
        draft.mkdir(mode=0o700)
        descriptor = os.open(draft / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._locks[folder] = descriptor
        draft.rename(self._root / folder)
        _sync_folder(self._root)

    def folders(self) -> list[str]:
        if not self._root.exists():
            return []
        return sorted(entry.name for entry in self._root.iterdir() if not entry.name.startswith("."))

    def lock(self, folder: str) -> bool:
        if folder in self._locks:
            return False
        try:
            # The file may be missing: a process can die while it drops a folder.
            descriptor = os.open(self._root / folder / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
        except FileNotFoundError:
            return False  # another process has just dropped it
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._locks[folder] = descriptor
        return True

    def files(self, folder: str) -> list[str]:
        path = self._root / folder
        if not path.exists():
            return []
        return sorted(entry.name for entry in path.iterdir() if entry.name != _LOCK)

    def read(self, folder: str, name: str) -> bytes:
        return (self._root / folder / name).read_bytes()

    def append(self, folder: str, name: str, data: bytes) -> None:
        descriptor, rest = self._descriptor(folder, name), memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]

    def sync(self, folder: str, name: str) -> None:
        os.fsync(self._descriptor(folder, name))

    def truncate(self, folder: str, name: str, size: int) -> None:
        descriptor = self._open.get((folder, name))
        if descriptor is not None:  # else the disk had no space for the file itself
            os.ftruncate(descriptor, size)
            os.fsync(descriptor)

    def remove(self, folder: str, name: str) -> None:
        self._close(folder, name)
        (self._root / folder / name).unlink()

    def drop(self, folder: str) -> None:
        for _, name in [key for key in self._open if key[0] == folder]:
            self._close(folder, name)
        shutil.rmtree(self._root / folder, ignore_errors=True)
        self.release(folder)

    def release(self, folder: str) -> None:
        os.close(self._locks.pop(folder))

    def _descriptor(self, folder: str, name: str) -> int:
        key = (folder, name)
        if key not in self._open:
            flags = os.O_CREAT | os.O_APPEND | os.O_WRONLY
            self._open[key] = os.open(self._root / folder / name, flags, 0o600)
            _sync_folder(self._root / folder)
        return self._open[key]

    def _close(self, folder: str, name: str) -> None:
        os.close(self._open.pop((folder, name)))


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Run(Protocol):
    """Runs what blocks, one call after the other, and gives its result."""

    def __call__(self, work: Callable[[], T]) -> Awaitable[T]: ...


class WriterThread:
    """The one thread in which a process touches its journals."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="journal")

    def __call__(self, work: Callable[[], T]) -> Awaitable[T]:
        return asyncio.get_running_loop().run_in_executor(self._executor, work)

    def close(self) -> None:
        """End the thread once its work is done; does not wait for that."""
        self._executor.shutdown(wait=False)

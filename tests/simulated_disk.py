"""A disk in memory that forgets at a crash what was not synced, and fails when it is told to."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class SimulatedDisk:
    """`fail[method]` is the error number that the method gives until it is taken away."""

    def __init__(self) -> None:
        self.contents: dict[str, dict[str, bytearray]] = {}
        self.synced: dict[str, dict[str, bytes]] = {}
        self.locked: set[str] = set()
        self.fail: dict[str, int] = {}
        self.syncs = 0
        self.space: int | None = None
        """Bytes that can still be written."""

    def crash(self, keep: Callable[[int], int] = lambda unsynced: 0) -> None:
        """The machine stops: all locks are gone, and of unsynced bytes only the first `keep(count)` stay."""
        self.locked.clear()
        for folder, files in self.contents.items():
            for name, content in files.items():
                safe = len(self.synced[folder].get(name, b""))
                del content[safe + keep(len(content) - safe) :]

    def create(self, folder: str) -> None:
        self._check("create")
        self.contents[folder], self.synced[folder] = {}, {}
        self.locked.add(folder)

    def folders(self) -> list[str]:
        self._check("folders")
        return sorted(self.contents)

    def lock(self, folder: str) -> bool:
        if folder in self.locked or folder not in self.contents:
            return False
        self.locked.add(folder)
        return True

    def files(self, folder: str) -> list[str]:
        return sorted(self.contents[folder])

    def read(self, folder: str, name: str) -> bytes:
        self._check("read")
        return bytes(self.contents[folder][name])

    def append(self, folder: str, name: str, data: bytes) -> None:
        content = self.contents[folder].setdefault(name, bytearray())
        if "append" in self.fail:
            content += data[: len(data) // 2]
        self._check("append")
        if self.space is not None:
            fits = data[: self.space]
            content += fits
            self.space -= len(fits)
            if len(fits) < len(data):
                raise OSError(errno.ENOSPC, "no space")
        else:
            content += data

    def sync(self, folder: str, name: str) -> None:
        self._check("sync")
        self.syncs += 1
        self.synced[folder][name] = bytes(self.contents[folder][name])

    def truncate(self, folder: str, name: str, size: int) -> None:
        self._check("truncate")
        del self.contents[folder][name][size:]
        self.synced[folder][name] = bytes(self.contents[folder][name])

    def remove(self, folder: str, name: str) -> None:
        del self.contents[folder][name]
        self.synced[folder].pop(name, None)

    def drop(self, folder: str) -> None:
        del self.contents[folder], self.synced[folder]
        self.locked.discard(folder)

    def release(self, folder: str) -> None:
        self.locked.discard(folder)

    def _check(self, method: str) -> None:
        if method in self.fail:
            raise OSError(self.fail[method], f"{method} fails")


async def inline(work: Callable[[], T]) -> T:
    """Runs what would block right here: a simulated disk does not."""
    return work()

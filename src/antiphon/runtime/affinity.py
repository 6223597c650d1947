"""Which processors engine processes run on: those that are reserved for one, and for all others the rest."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


class Affinity:
    """The processors that this process may run on, dealt out to the engines that it starts.

    What a process starts runs where it does. Where the system has no such thing, nothing is done.
    """

    def __init__(self) -> None:
        self._all = frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else frozenset()
        self._reserved: dict[int, frozenset[int]] = {}
        """By the leaders of process groups."""
        self._others: set[int] = set()

    @property
    def rest(self) -> frozenset[int]:
        """What those run on for which none is reserved: everywhere, if all are reserved."""
        return self._all.difference(*self._reserved.values()) or self._all

    def started(self, pid: int, cpus: int) -> None:
        """A process has begun for which so many thousandths of a processor are reserved: whole ones are its
        alone, if there are so many left."""
        if not self._all:
            return
        whole = cpus // 1000
        free = sorted(self._all.difference(*self._reserved.values()))
        if 0 < whole <= len(free):
            self._reserved[pid] = frozenset(free[:whole])
            _set(pid, self._reserved[pid])
            self._move_others()
        else:
            self._others.add(pid)
            _set(pid, self.rest)

    def ended(self, pid: int) -> None:
        """A process has ended."""
        self._others.discard(pid)
        if self._reserved.pop(pid, None):
            self._move_others()

    def _move_others(self) -> None:
        for pid in self._others:
            for member in _group(pid):
                for thread in _threads(member):
                    _set(thread, self.rest)


def _set(thread: int, cpus: frozenset[int]) -> None:
    with suppress(OSError):  # it has ended
        os.sched_setaffinity(thread, cpus)


def _group(leader: int) -> Iterator[int]:
    """The processes of a group."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, IndexError, ValueError):
            # Behind the name, which may hold anything: state, parent, group.
            if int((folder / "stat").read_text().rsplit(")", 1)[1].split()[2]) == leader:
                yield int(folder.name)


def _threads(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(name) for name in os.listdir(f"/proc/{pid}/task")]
    return []

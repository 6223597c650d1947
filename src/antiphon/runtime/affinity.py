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
        self._wants: dict[int, int] = {}
        """Whole processors that running processes want for themselves: by the leaders of their groups."""
        self._given: dict[int, frozenset[int]] = {}
        """What those have for themselves for which there were enough."""

    @property
    def rest(self) -> frozenset[int]:
        """What those run on that have none for themselves: everywhere, if all are given."""
        return self._free or self._all

    def started(self, pid: int, cpus: int) -> None:
        """A process has begun for which so many thousandths of a processor are reserved: whole ones are its
        alone, now or as soon as there are so many."""
        if self._all:
            self._wants[pid] = cpus // 1000
            self._deal()

    def ended(self, pid: int) -> None:
        """A process has ended."""
        if self._wants.pop(pid, None) is not None:
            self._given.pop(pid, None)
            self._deal()

    @property
    def _free(self) -> frozenset[int]:
        return self._all.difference(*self._given.values())

    def _deal(self) -> None:
        """Give what is free to those that want it, the oldest first, and move all others to what is left."""
        for pid, whole in self._wants.items():
            if whole and pid not in self._given and whole <= len(self._free):
                self._given[pid] = frozenset(sorted(self._free)[:whole])
                _move(pid, self._given[pid])
        for pid in self._wants.keys() - self._given.keys():
            _move(pid, self.rest)


def _move(leader: int, cpus: frozenset[int]) -> None:
    """Let a process and what it has started run on these."""
    for pid in (leader, *_group(leader)):
        for thread in (pid, *_threads(pid)):
            _set(thread, cpus)


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

"""Which processors engine processes run on: those that are reserved for one, and for all others the rest."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path


class Affinity:
    """The processors that this process may run on, dealt out to the engines that it starts.

    What a process starts runs where it does. Where the system has no such thing, nothing is done.
    """

    def __init__(self) -> None:
        self._all = frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else frozenset()
        self._wanted: dict[int, int] = {}
        """Whole processors, by the leaders of process groups, in the order of their starts."""
        self._reserved: dict[int, frozenset[int]] = {}

    @property
    def rest(self) -> frozenset[int]:
        """What those run on for which none is reserved."""
        return self._all.difference(*self._reserved.values())

    def started(self, pid: int, cpus: int) -> None:
        """A process has begun for which so many thousandths of a processor are reserved: whole ones are its
        alone as soon as there are so many beside one that is left for all others."""
        if self._all:
            self._wanted[pid] = cpus // 1000
            if not self._deal():
                _set(pid, self.rest)

    def ended(self, pid: int) -> None:
        """A process has ended: its processors are those of whoever waits for some, or of all others."""
        self._wanted.pop(pid, None)
        if self._reserved.pop(pid, None):
            self._deal(changed=True)

    def _deal(self, *, changed: bool = False) -> bool:
        """Reserve what can be, the first first; whether anything is another now."""
        for pid, whole in self._wanted.items():
            if whole and pid not in self._reserved and whole < len(self.rest):
                self._reserved[pid] = frozenset(sorted(self.rest)[:whole])
                changed = True
        if changed:
            groups = _groups()
            for pid in self._wanted:
                for member in groups.get(pid, (pid,)):
                    for thread in _threads(member):
                        _set(thread, self._reserved.get(pid, self.rest))
        return changed


def _set(thread: int, cpus: frozenset[int]) -> None:
    with suppress(OSError):  # it has ended
        os.sched_setaffinity(thread, cpus)


def _groups() -> Mapping[int, Sequence[int]]:
    """The processes of each group, by its leader."""
    found: dict[int, list[int]] = defaultdict(list)
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, IndexError, ValueError):
            # Behind the name, which may hold anything: state, parent, group.
            leader = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[2])
            found[leader].append(int(folder.name))
    return found


def _threads(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(name) for name in os.listdir(f"/proc/{pid}/task")]
    return []

"""Whether the machine has room for a second server while the first one goes on."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
GROUP = Path("/sys/fs/cgroup")
_MIB = 1 << 20


def lacking(pid: int, proc: Path = PROC, group: Path = GROUP) -> int:
    """Bytes that are missing for another server such as that of process `pid` is with its children; 0 where
    there is room, or where the system does not tell."""
    if (free := available(proc, group)) is None:
        return 0
    return max(0, taken(pid, proc) - free)


def told(missing: int) -> str:
    """What is wrong where so many bytes are missing, and what to do."""
    return (
        f"There is no memory for a second server beside this one: {missing // _MIB + 1} MiB are missing. "
        "`antiphon restart --pause` needs none, and lets requests wait meanwhile."
    )


def taken(pid: int, proc: Path = PROC) -> int:
    """Bytes of memory that a process and all below it have for themselves: files that they map are shared
    with whoever maps them next."""
    parents = _parents(proc)
    family, found = set[int](), {pid}
    while found:
        family |= found
        found = {child for child, parent in parents.items() if parent in family} - family
    return sum(_private(proc / str(one)) for one in family)


def available(proc: Path = PROC, group: Path = GROUP) -> int | None:
    """Bytes that new processes may take, of this machine or of a container's share; None if it is unknown."""
    try:
        fields = dict(line.split(":", 1) for line in (proc / "meminfo").read_text().splitlines())
        free = int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, ValueError, KeyError, IndexError):
        return None
    with suppress(OSError, ValueError):  # no control groups, or no limit (`max`)
        most, used = (int((group / f"memory.{name}").read_text()) for name in ("max", "current"))
        free = min(free, most - used)
    return free


def _parents(proc: Path) -> Mapping[int, int]:
    parents = {}
    for folder in proc.iterdir() if proc.exists() else ():
        if folder.name.isdigit():
            with suppress(OSError, ValueError, IndexError):
                # What stands in brackets is the program's name, which may hold anything.
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    return parents


def _private(folder: Path) -> int:
    with suppress(OSError, ValueError, IndexError):
        for line in (folder / "status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    with suppress(OSError, ValueError, IndexError):
        return int((folder / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0

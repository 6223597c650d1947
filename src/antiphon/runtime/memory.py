"""How much memory a process holds, with those that it started, as Linux counts it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")


def held(pid: int, proc: Path = _PROC) -> int | None:
    """Bytes resident of a process and of all below it; without what is mapped from files, as models are.

    The system takes that back by itself where it is short. None for one that is gone, or where nothing
    tells. Blocks for a moment.
    """
    own = _own(proc / str(pid))
    return None if own is None else own + sum(held(child, proc) or 0 for child in _children(proc / str(pid)))


def _own(folder: Path) -> int | None:
    try:
        _, resident, mapped, *_ = (folder / "statm").read_text().split()
    except (OSError, ValueError):
        return None
    return (int(resident) - int(mapped)) * os.sysconf("SC_PAGE_SIZE")


def _children(folder: Path) -> Iterator[int]:
    """Of every thread; none where this system keeps no list of them."""
    for file in folder.glob("task/*/children"):
        with suppress(OSError):  # the thread has ended
            yield from map(int, file.read_text().split())

"""Folders that belong to one process each: what a process left behind that has died is removed by the next.

A process holds a lock on a file in its own for as long as it lives, so nobody takes it for a left-over: at a
restart two servers run on one data folder for a while. Everything here blocks on the disk.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LOCK = ".lock"
"""In the folder of all of them: held while one is made, or some are removed. In each: held by its process."""


@contextmanager
def own_folder(root: Path) -> Iterator[Path]:
    """A new private folder under `root`, removed at the end; those of processes that have died go now."""
    with _alone(root):
        _clean(root)
        folder = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=root))
        lock = (folder / _LOCK).open("wb")
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with lock:
        yield folder
        shutil.rmtree(folder, ignore_errors=True)


def clean(root: Path) -> None:
    """Remove what processes have left there that have died, and whatever else lies there."""
    with _alone(root):
        _clean(root)


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (root / _LOCK).open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _clean(root: Path) -> None:
    for left in root.iterdir():
        if left.name == _LOCK:
            continue
        if not left.is_dir():
            left.unlink(missing_ok=True)
        elif not _held(left):
            shutil.rmtree(left, ignore_errors=True)


def _held(folder: Path) -> bool:
    try:
        with (folder / _LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False

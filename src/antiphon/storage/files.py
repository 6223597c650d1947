"""Private files that are made once and never overwritten. Everything here blocks on the disk."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path
from typing import IO

from antiphon.errors import AntiphonError, ConfigurationError, StorageFull

NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
_PIECE = 1 << 20


def create_once(path: Path, content: bytes = b"") -> None:
    """Make `path` with `content` and mode 0600, in a folder of mode 0700, unless it exists.

    Any number of processes may do this at once: one of them wins, and nobody ever sees half a file.
    Raises `StorageFull`, or `ConfigurationError` where the folder cannot be written.
    """
    try:
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _create(path, content)
    except OSError as problem:
        raise _meaning(problem, path) from problem


def write_over(file: IO[bytes]) -> None:
    """Zeros for all that is in a file, durably, as far as its file system lets; open it as `r+b`."""
    left = os.fstat(file.fileno()).st_size
    while left > 0:
        left -= file.write(bytes(min(left, _PIECE)))
    file.flush()
    os.fsync(file.fileno())


def wipe(path: Path) -> None:
    """Remove a file that held secrets, of which nothing is to be left."""
    with path.open("r+b") as file:
        path.unlink()
        write_over(file)


def _create(path: Path, content: bytes) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(descriptor, "wb") as draft:
            draft.write(content)
            draft.flush()
            os.fsync(draft.fileno())
        # The draft is closed before it gets its name: SQLite's locks on a file end when this process
        # closes any other descriptor of that file.
        path.hardlink_to(name)
    except FileExistsError:
        return  # another process was first: its file counts
    finally:
        os.unlink(name)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _meaning(problem: OSError, path: Path) -> AntiphonError:
    if problem.errno in NO_SPACE:
        return StorageFull(f"There is no space left for {path.name}.")
    return ConfigurationError(
        f"{path} cannot be made: {problem.strerror}", fix="choose a data folder that can be written"
    )

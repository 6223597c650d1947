"""Hashing files in pieces, so that a model of any size takes the memory of one piece."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

PIECE = 1 << 20
Report = Callable[[int], None]
"""Called with the bytes done so far."""


def sha256_of(path: Path, report: Report) -> str:
    """The sha256 of a file, in hexadecimal. Raises `OSError`."""
    digest = hashlib.sha256()
    done = 0
    for piece in pieces(path):
        digest.update(piece)
        done += len(piece)
        report(done)
    return digest.hexdigest()


def pieces(path: Path) -> Iterator[bytes]:
    """The file's content, a piece at a time."""
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece

"""Where in a TOML text something is said: its parser tells no lines of what is well formed but wrong."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from typing import Any

Step = str | int
"""A key, or a position in an array."""


def line_of(text: str, path: Sequence[Step]) -> int | None:
    """The line, from 1, on which the value at `path` begins, or the nearest part of the path that is there.

    None if not even the first step is in the text. It reads the text up to each line: for errors alone.
    """
    known = _depth(tomllib.loads(text), path)
    if not known:
        return None
    begin = 1
    lines = text.splitlines()
    for number in range(1, len(lines) + 1):
        try:
            read = tomllib.loads("\n".join(lines[:number]) + "\n")
        except tomllib.TOMLDecodeError:
            continue  # in the middle of a value
        if _depth(read, path) >= known:
            return _first_of(lines, begin, number)
        begin = number + 1
    return None


def _depth(value: Any, path: Sequence[Step]) -> int:
    """How many steps of a path there are."""
    for depth, step in enumerate(path):
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return depth
    return len(path)


def _first_of(lines: Sequence[str], begin: int, end: int) -> int:
    """Of the lines that were read last, the first that says something."""
    said = (n for n in range(begin, end) if (line := lines[n - 1].strip()) and not line.startswith("#"))
    return next(said, end)

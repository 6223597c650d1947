"""What was measured already, step by step in a file: a run that was cut off goes on where it stopped."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import msgspec

T = TypeVar("T")


class Entry(msgspec.Struct, frozen=True):
    step: str
    found: msgspec.Raw


class Journal:
    """One line of JSON for each step. A step is measured once; a line that was cut off does not count."""

    def __init__(self, path: Path, tell: Callable[[str], None] = lambda step: None) -> None:
        """`tell` hears the name of each step before it is measured."""
        self.path = path
        self._tell = tell
        self._found = dict(_entries(path))

    def __contains__(self, step: str) -> bool:
        return step in self._found

    async def once(self, step: str, kind: type[T], measure: Callable[[], Awaitable[T]]) -> T:
        """What the step measured, now or in an earlier run."""
        if step not in self._found:
            self._tell(step)
            self._add(step, msgspec.json.encode(await measure()))
        return msgspec.json.decode(self._found[step], type=kind)

    def remove(self) -> None:
        """Forget everything, in the file too."""
        self.path.unlink(missing_ok=True)
        self._found.clear()

    def _add(self, step: str, found: bytes) -> None:
        line = msgspec.json.encode(Entry(step, msgspec.Raw(found)))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            # A newline first: what a run that was cut off left behind stays a line of its own.
            file.write(b"\n" + line + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._found[step] = found


def _entries(path: Path) -> list[tuple[str, bytes]]:
    if not path.exists():
        return []
    found = []
    for line in path.read_bytes().splitlines():
        try:
            entry = msgspec.json.decode(line, type=Entry)
        except msgspec.DecodeError:  # empty, or cut off
            continue
        found.append((entry.step, bytes(entry.found)))
    return found

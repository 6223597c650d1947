"""What a GGUF file says of itself, without its tensors (the format: ggml's docs/gguf.md, versions 2 and 3).

The `gguf` package reads the same, but takes seconds for a vocabulary and a minute for a large one.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

_MAGIC = b"GGUF"
_VERSIONS = 2, 3
_STRING, _ARRAY = 8, 9
_NUMBERS = dict(zip((0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12), "BbHhIif?Qqd", strict=True))
"""The format's types of one value, as `struct` writes them."""
_LONGEST_NAME = 65535
_ALIGNMENT = 32
"""Of the tensors, unless a file says that it is more."""


def metadata(path: Path, wanted: Callable[[str], bool] = lambda name: True) -> dict[str, Any]:
    """The values by name: numbers, strings and lists of them. What is not `wanted` is passed over.

    Raises `ValueError` for a file that is no GGUF file or ends too early, `OSError` if it cannot be read.
    """
    with path.open("rb") as file:
        if not file.read(1):
            raise ValueError("empty")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            try:
                return _Reader(content).values(wanted)
            except (struct.error, KeyError, RecursionError, MemoryError) as problem:
                raise ValueError(f"not GGUF: {type(problem).__name__}") from None


class _Reader:
    """A position in the file, which every call moves on. Nothing is read, or made room for, past its end."""

    def __init__(self, content: mmap.mmap) -> None:
        self._content, self._at = content, 0

    def values(self, wanted: Callable[[str], bool]) -> dict[str, Any]:
        magic, version, tensors, count = self._numbers("4sIQQ")
        if magic != _MAGIC or version not in _VERSIONS:
            raise ValueError("not GGUF")
        found = {}
        for _ in range(count):
            name = self._string(_LONGEST_NAME)
            [kind] = self._numbers("I")
            if wanted(name):
                found[name] = self._value(kind)
            else:
                self._value(kind, keep=False)
        starts = [self._tensor() for _ in range(tensors)]
        if starts:
            self._skip(-self._at % _ALIGNMENT)
            self._fits(max(starts) + 1)  # of each tensor there is at least a byte
        return found

    def _tensor(self) -> int:
        """Where a tensor begins, from where the first does; the rest that is said of it is passed over."""
        self._string(_LONGEST_NAME)
        [dimensions] = self._numbers("I")
        self._skip(8 * dimensions + 4)
        offset: int = self._numbers("Q")[0]
        return offset

    def _value(self, kind: int, keep: bool = True) -> Any:
        if kind == _STRING:
            return self._string()
        if kind == _ARRAY:
            return self._array(keep)
        return self._numbers(_NUMBERS[kind])[0]

    def _array(self, keep: bool) -> list[Any]:
        kind, count = self._numbers("IQ")
        if kind not in _NUMBERS:
            return [value for _ in range(count) if (value := self._value(kind, keep)) is not None and keep]
        one = _NUMBERS[kind]
        if keep:
            return list(self._numbers(f"{self._fits(count, struct.calcsize(one))}{one}"))
        self._skip(self._fits(count, struct.calcsize(one)) * struct.calcsize(one))
        return []

    def _string(self, longest: int | None = None) -> str:
        [length] = self._numbers("Q")
        if longest is not None and length > longest:
            raise ValueError("a name is too long")
        start = self._at
        self._skip(length)
        return self._content[start : self._at].decode(errors="replace")

    def _numbers(self, layout: str) -> tuple[Any, ...]:
        one = "<" + layout
        values = struct.unpack_from(one, self._content, self._at)
        self._at += struct.calcsize(one)
        return values

    def _skip(self, length: int) -> None:
        self._at += self._fits(length)

    def _fits(self, count: int, size: int = 1) -> int:
        if count * size > len(self._content) - self._at:
            raise ValueError("the file ends too early")
        return count

"""Messages from a decoding child to the worker, on a stream socket: a kind, a length, and so many bytes.

The child reads hostile files, so what it sends is not believed: kinds and lengths are bounded.
"""

from __future__ import annotations

import struct
from enum import IntEnum

import msgspec

LONGEST = 32_000
"""Bytes of the longest message: one second of sound, 16,000 samples of int16."""
_HEAD = struct.Struct("<BH")
_NUMBER = struct.Struct("<d")


class Kind(IntEnum):
    """What a message is."""

    ALIVE = 0
    """Work has begun, or moves on though there is no sound to show for it. No content."""
    SAMPLES = 1
    """The next samples, int16 of this machine."""
    DONE = 2
    """The last message: how many seconds there were, or would be. A float64."""
    REFUSED = 3
    """The last message: one byte, a `refusals.Refusal`."""


class Frame(msgspec.Struct, frozen=True):
    """A message: its kind, its content."""

    kind: Kind
    content: bytes


class Broken(ValueError):
    """What came is no message; nothing behind it can be read."""


class Frames:
    """Turns a stream of bytes back into messages. Holds no more than was fed and not yet taken."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> None:
        self._held += data

    def take(self) -> Frame | None:
        """The next whole message, None until there is one. Raises `Broken`."""
        if len(self._held) < _HEAD.size:
            return None
        number, length = _HEAD.unpack_from(self._held)
        try:
            kind = Kind(number)
        except ValueError:
            raise Broken("a message of no known kind") from None
        if length > LONGEST:
            raise Broken("a message too long")
        end = _HEAD.size + length
        if len(self._held) < end:
            return None
        content = bytes(self._held[_HEAD.size : end])
        del self._held[:end]
        return Frame(kind, content)


def pack(kind: Kind, content: bytes = b"") -> bytes:
    """A message as bytes; `content` of at most `LONGEST` bytes."""
    return _HEAD.pack(kind, len(content)) + content


def pack_number(value: float) -> bytes:
    return _NUMBER.pack(value)


def number(content: bytes) -> float:
    """What `pack_number` packed. Raises `Broken`."""
    if len(content) != _NUMBER.size:
        raise Broken("no number")
    return float(_NUMBER.unpack(content)[0])

"""Recordings, encrypted piece by piece: however long one is, a piece of it is in memory.

A file is a mark, a salt, and pieces. Its own key comes from the day's key and the salt (HKDF), so nonces can
be counted: the number of the piece, and whether it is the last one. None can be left out, moved, or cut off.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from antiphon.privacy.sealing import SECRET_BYTES, Unreadable

PIECE = 64 * 1024
"""Of the recording, in bytes: what is decided about at once."""
_MARK = b"antiphon recording 1\n"
_SALT_BYTES = 32
_TAG_BYTES = 16


def read(path: Path) -> Iterator[bytes]:
    """A file in pieces."""
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece


def seal(secret: bytes, pieces: Iterable[bytes], of: bytes) -> Iterator[bytes]:
    """The encrypted file, in pieces; those given may have any length. `of`: see `sealing.bound`."""
    salt = secrets.token_bytes(_SALT_BYTES)
    cipher = _cipher(secret, salt, of)
    yield _MARK + salt
    number = 0
    for piece, last in _cut(pieces, PIECE):
        yield cipher.encrypt(_nonce(number, last), piece, None)
        number += 1


def unseal(secret: bytes, pieces: Iterable[bytes], of: bytes) -> Iterator[bytes]:
    """The recording, in pieces; each was checked, and the last one is. Raises `Unreadable`."""
    head, rest = _head(iter(pieces), len(_MARK) + _SALT_BYTES)
    if not head.startswith(_MARK):
        raise Unreadable("this is no recording that was kept")
    cipher = _cipher(secret, head[len(_MARK) :], of)
    number = 0
    for piece, last in _cut(rest, PIECE + _TAG_BYTES):
        try:
            yield cipher.decrypt(_nonce(number, last), piece, None)
        except InvalidTag:
            raise Unreadable("this recording was changed or cut, or is under another key") from None
        number += 1


def _cipher(secret: bytes, salt: bytes, of: bytes) -> AESGCM:
    return AESGCM(HKDF(SHA256(), SECRET_BYTES, salt, b"recording\0" + of).derive(secret))


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11) + bytes([last])


def _head(pieces: Iterator[bytes], size: int) -> tuple[bytes, Iterator[bytes]]:
    """The first `size` bytes, or fewer, and what comes after them."""
    begun = b""
    while len(begun) < size and (piece := next(pieces, b"")):
        begun += piece

    def rest() -> Iterator[bytes]:
        yield begun[size:]
        yield from pieces

    return begun[:size], rest()


def _cut(pieces: Iterable[bytes], size: int) -> Iterator[tuple[bytes, bool]]:
    """The same in pieces of `size`, each with whether it is the last one; nothing is one empty piece."""
    waiting = bytearray()
    for piece in pieces:
        waiting += piece
        while len(waiting) > size:
            yield bytes(waiting[:size]), False
            del waiting[:size]
    yield bytes(waiting), True

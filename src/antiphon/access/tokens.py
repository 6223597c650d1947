"""What keys look like, how a rotation derives one, and what may be shown of one. Pure functions.

A key is `sk-`, 256 random bits as 43 characters of base 62, and the CRC-32 of those characters as 6 more:
a mistyped or invented key is recognised without asking the database.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import zlib

from antiphon.storage.ids import base62

PREFIX = "sk-"
BODY_CHARACTERS = 43
CHECK_CHARACTERS = 6

_SHAPE = re.compile(f"{PREFIX}([0-9A-Za-z]{{{BODY_CHARACTERS}}})([0-9A-Za-z]{{{CHECK_CHARACTERS}}})")
_SHOWABLE = re.compile("[!-~]{24,255}")


def new_secret() -> str:
    """A key that nobody has ever seen."""
    return _written(secrets.randbits(256))


def rotated_secret(pepper: bytes, key_id: str, token: str) -> str:
    """The secret that the rotation named `token` gives this key: the same one each time it is asked for."""
    return _written(int.from_bytes(_keyed(pepper, "rotated secret", key_id, token)))


def rotation(pepper: bytes, key_id: str, token: str) -> bytes:
    """What is stored of a rotation's name. It tells neither the name nor the secret. 32 bytes."""
    return _keyed(pepper, "rotation", key_id, token)


def digest(pepper: bytes, secret: str) -> bytes:
    """What is stored of a secret. 32 bytes."""
    return hmac.digest(pepper, secret.encode(), hashlib.sha256)


def tenant(pepper: bytes, organization_id: str) -> str:
    """What engines call an organization: the same in every process over a database. 32 characters."""
    return _keyed(pepper, "tenant", organization_id).hex()[:32]


def is_well_formed(token: str) -> bool:
    """Whether `token` could be a key: its shape and its checksum are right."""
    found = _SHAPE.fullmatch(token)
    return found is not None and found[2] == _check(found[1])


def redacted(token: str) -> str:
    """What may be shown of a key: `sk-abcde****wxyz`.

    Of anything too short to stay secret with 12 characters known, or not plain text, nothing is shown.
    """
    return f"{token[:8]}****{token[-4:]}" if _SHOWABLE.fullmatch(token) else "****"


def _written(number: int) -> str:
    body = base62(number, BODY_CHARACTERS)
    return PREFIX + body + _check(body)


def _keyed(pepper: bytes, *parts: str) -> bytes:
    # No secret begins like this, so that no key's digest can be a rotation's.
    return hmac.digest(pepper, "\0".join(parts).encode(), hashlib.sha256)


def _check(body: str) -> str:
    return base62(zlib.crc32(body.encode()), CHECK_CHARACTERS)

"""What ids and keys look like, and what may be shown of a key. Pure functions.

A key is `sk-`, 256 random bits as 43 characters of base 62, and the CRC-32 of those characters as 6 more:
a mistyped or invented key is recognised without asking the database.
"""

from __future__ import annotations

import re
import secrets
import string
import zlib

PREFIX = "sk-"
BODY_CHARACTERS = 43
CHECK_CHARACTERS = 6

_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_SHAPE = re.compile(f"{PREFIX}([0-9A-Za-z]{{{BODY_CHARACTERS}}})([0-9A-Za-z]{{{CHECK_CHARACTERS}}})")
_SHOWABLE = re.compile("[!-~]{24,255}")


def new_secret() -> str:
    """A key that nobody has ever seen."""
    body = _base62(secrets.randbits(256), BODY_CHARACTERS)
    return PREFIX + body + _check(body)


def new_id(prefix: str) -> str:
    """`prefix` and 95 random bits, for instance `key_…`: unique, and not secret."""
    return prefix + _base62(secrets.randbits(95), 16)


def is_well_formed(token: str) -> bool:
    """Whether `token` could be a key: its shape and its checksum are right."""
    found = _SHAPE.fullmatch(token)
    return found is not None and found[2] == _check(found[1])


def redacted(token: str) -> str:
    """What may be shown of a key: `sk-abcde****wxyz`.

    Of anything too short to stay secret with 12 characters known, or not plain text, nothing is shown.
    """
    return f"{token[:8]}****{token[-4:]}" if _SHOWABLE.fullmatch(token) else "****"


def _check(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), CHECK_CHARACTERS)


def _base62(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))

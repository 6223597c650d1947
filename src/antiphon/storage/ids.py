"""What ids look like: a prefix that names the kind, then characters that nobody can guess or repeat."""

from __future__ import annotations

import hashlib
import secrets
import string

_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase


def new_id(prefix: str) -> str:
    """`prefix` and 95 random bits, for instance `key_…`: unique, and not secret."""
    return prefix + base62(secrets.randbits(95), 16)


def derived_id(prefix: str, *names: str) -> str:
    """An id that is the same each time for the same names, and that nothing else has."""
    digest = hashlib.sha256("\0".join(names).encode()).digest()
    return prefix + base62(int.from_bytes(digest), 16)


def ordered_id(prefix: str, now: float) -> str:
    """`prefix`, `now` (unix seconds) and 64 random bits: ids of later microseconds sort after earlier ones.

    Hexadecimal, since databases may sort letters by a language's rules, and of these alone all agree.
    """
    return f"{prefix}{int(now * 1_000_000):014x}{secrets.randbits(64):016x}"


def following(id: str, last: str | None) -> str:
    """An ordered id, or, if it does not sort after `last` of the same prefix, one that does by a microsecond.

    For lists whose order is that of their ids: clocks are set back.
    """
    if last is None or id > last:
        return id
    return f"{id[:-30]}{int(last[-30:-16], 16) + 1:014x}{id[-16:]}"


def base62(number: int, width: int) -> str:
    """The last `width` digits of a number, written in base 62."""
    digits = []
    for _ in range(width):
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))

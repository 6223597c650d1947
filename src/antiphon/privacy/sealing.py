"""Content, encrypted: AES-256-GCM, each piece bound to what it is of."""

from __future__ import annotations

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SECRET_BYTES = 32
_NONCE_BYTES = 12


class Unreadable(Exception):
    """What was encrypted is not what it should be: cut, changed, of something else, or under another key."""


def new_secret() -> bytes:
    return secrets.token_bytes(SECRET_BYTES)


def bound(organization_id: str, id: str, part: str) -> bytes:
    """What a piece belongs to: it can be read as nothing else."""
    return "\0".join((organization_id, id, part)).encode()


def seal(secret: bytes, plain: bytes, of: bytes) -> bytes:
    """A random nonce, then `plain` encrypted; `of` as `bound` makes it."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(secret).encrypt(nonce, plain, of)


def unseal(secret: bytes, sealed: bytes, of: bytes) -> bytes:
    """What `seal` was given. Raises `Unreadable`."""
    try:
        return AESGCM(secret).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], of)
    except (InvalidTag, ValueError):
        raise Unreadable("this was changed, or is under another key") from None

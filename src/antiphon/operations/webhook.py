"""One message to the operator's webhook, signed as Standard Webhooks has it (standardwebhooks.com)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from pathlib import Path

import aiohttp

from antiphon.errors import ConfigurationError
from antiphon.storage.files import create_once

FILE_NAME = "webhook.secret"
"""In the data folder."""
_PREFIX = "whsec_"
_BYTES = 32
_LENGTHS = range(24, 65)
"""Bytes that a secret may have."""
_SECONDS = 10.0
"""Longest time for one message, from the connection to the answer's status."""


class Webhook:
    """Where messages go: `address` is the operator's, `secret` what they are signed with."""

    def __init__(self, address: str, secret: bytes) -> None:
        self._address = address
        self._secret = secret

    async def post(self, id: str, now: int, body: bytes) -> str:
        """Send one message, at `now` (unix seconds): why it did not arrive, in a few words, or nothing."""
        headers = {
            "content-type": "application/json",
            "webhook-id": id,
            "webhook-timestamp": str(now),
            "webhook-signature": signature(self._secret, id, now, body),
        }
        limit = aiohttp.ClientTimeout(total=_SECONDS)
        try:
            # A connection for each: there are few, days apart.
            async with (
                aiohttp.ClientSession(timeout=limit) as session,
                session.post(self._address, data=body, headers=headers, allow_redirects=False) as response,
            ):
                # What the answer says is nobody's business; where it points to, neither.
                return "" if 200 <= response.status < 300 else f"it answered {response.status}"
        except TimeoutError:
            return f"it did not answer within {_SECONDS:g} s"
        except aiohttp.ClientError as problem:
            # Its text may hold the address, which may hold a password.
            return f"it cannot be reached ({type(problem).__name__})"


def signature(secret: bytes, id: str, now: int, body: bytes) -> str:
    """The header `webhook-signature` of a message."""
    signed = b".".join((id.encode(), str(now).encode(), body))
    return "v1," + base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()


def load_secret(home: Path) -> bytes:
    """The secret in `home/webhook.secret`, made on the first call. Blocks on the disk.

    Raises `ConfigurationError` or `StorageFull` where it cannot be read or made.
    """
    path = home / FILE_NAME
    made = _PREFIX + base64.b64encode(secrets.token_bytes(_BYTES)).decode()
    create_once(path, f"{made}\n".encode())
    try:
        text = path.read_text(encoding="ascii").strip()
        secret = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except OSError as problem:
        raise ConfigurationError(
            f"{path} cannot be read: {problem.strerror}", fix="run as the user who owns the data folder"
        ) from None
    except (UnicodeDecodeError, binascii.Error):
        text, secret = "", b""
    if not text.startswith(_PREFIX) or len(secret) not in _LENGTHS:
        raise ConfigurationError(
            f"{path} holds no secret of a webhook",
            fix=f"write {_PREFIX} and 24 to 64 bytes in base64 into it, or remove it: a new one is made",
        )
    return secret

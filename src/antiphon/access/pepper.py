"""The pepper: a secret of this installation that every stored hash of a key is made with.

It lies beside the database and not in it, so that a stolen database alone cannot be used to test keys.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from antiphon.errors import ConfigurationError
from antiphon.storage.files import create_once

BYTES = 32


def load_pepper(home: Path) -> bytes:
    """The 32 bytes in `home/pepper`, made on the first call. Blocks on the disk.

    Raises `ConfigurationError` or `StorageFull` where it cannot be read or made.
    """
    path = home / "pepper"
    create_once(path, secrets.token_bytes(BYTES))
    try:
        pepper = path.read_bytes()
    except OSError as problem:
        raise ConfigurationError(
            f"{path} cannot be read: {problem.strerror}", fix="run as the user who owns the data folder"
        ) from None
    if len(pepper) != BYTES:
        raise ConfigurationError(
            f"{path} holds {len(pepper)} bytes instead of {BYTES}",
            fix="restore it from a backup, or remove it: every key then stops working, make new ones",
        )
    return pepper

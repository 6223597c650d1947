"""The pepper: a secret of this installation that every stored hash of a key is made with.

It lies beside the database and not in it, so that a stolen database alone cannot be used to test keys, and
who can only write the database cannot make the ends of the audit log fit.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from pathlib import Path

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from antiphon.errors import ConfigurationError
from antiphon.storage.database import STATEMENT_SECONDS, Database
from antiphon.storage.files import create_once
from antiphon.storage.tables import installation

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


async def connected(url: str, home: Path, statement_seconds: float = STATEMENT_SECONDS) -> Database:
    """The database at `url` for whoever writes the audit log or upgrades: with the pepper in `home`.

    Nothing is opened yet. Raises as `load_pepper` and `Database` do.
    """
    return Database(url, statement_seconds, pepper=await asyncio.to_thread(load_pepper, home))


async def check_pepper(database: Database, pepper: bytes) -> None:
    """See that every machine over this database has the same pepper; the first one says which it is.

    Raises `ConfigurationError` for another pepper, with which no key of the database would ever match.
    """
    check = hmac.digest(pepper, b"installation", hashlib.sha256)
    known = await _known_check(database)
    if known is None:
        try:
            async with database.begin() as connection:
                await connection.execute(insert(installation).values(id=1, pepper_check=check))
        except IntegrityError:
            # Another process was first: its pepper counts.
            known = await _known_check(database)
        else:
            known = check
    if known != check:
        raise ConfigurationError(
            "the pepper in the data folder is not the one that this database's keys were made with",
            fix="copy the file `pepper` from the data folder of the first machine",
        )


async def _known_check(database: Database) -> bytes | None:
    async with database.connect() as connection:
        known: bytes | None = await connection.scalar(select(installation.c.pepper_check))
    return known

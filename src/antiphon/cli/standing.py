"""What a server says of itself in its data folder: who it is, who takes its requests, how a restart went."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import msgspec

LOCK_NAME = "serve.lock"
FILE_NAME = "serve.json"


class Standing(msgspec.Struct, frozen=True):
    """How the server of a data folder stands."""

    pid: int
    """The process that signals go to. It stays the same over restarts."""
    server: int
    """The one that takes requests, itself or a child of it."""
    version: str
    port: int = 0
    """Where it listens; 0 if it is of a version that did not say."""
    starting: bool = False
    """Whether it has not been ready yet, and cannot be restarted."""
    restarts: int = 0
    """How many were asked for and have come to an end, however they went."""
    restarting: bool = False
    problem: str = ""
    """Why the last restart was given up; empty if it was not."""


def write(home: Path, standing: Standing) -> None:
    """Let everybody know. Whoever reads sees all of it, or all that was there before."""
    draft = home / f".{FILE_NAME}.{os.getpid()}"
    with open(draft, "wb", opener=_private) as file:
        file.write(msgspec.json.encode(standing))
    draft.replace(home / FILE_NAME)


def read(home: Path) -> Standing | None:
    """What the server that runs on a data folder says; None while none runs there, or has begun to."""
    if not held(home):
        return None
    try:
        return msgspec.json.decode((home / FILE_NAME).read_bytes(), type=Standing)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def remove(home: Path) -> None:
    (home / FILE_NAME).unlink(missing_ok=True)


def held(home: Path) -> bool:
    """Whether a server, of whatever version, has the data folder."""
    try:
        with (home / LOCK_NAME).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)

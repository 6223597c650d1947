"""What the whole state of a server is, part by part, and in which of the two files of a backup each goes."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

import msgspec

from antiphon.settings import DATABASE_NAME, KEYS_NAME

Artefact = Literal["data", "keys"]


class Part(msgspec.Struct, frozen=True):
    """Something in the data folder, by a pattern of its name."""

    pattern: str
    artefact: Artefact
    kind: Literal["files", "sqlite"] = "files"
    """Whether it is copied as it is, or as a database that others write."""
    models: bool = False
    """Whether it is left out unless models are asked for."""


PARTS = (
    # First what is on its way into the database: by the time that is copied it may have arrived there, and
    # is not counted twice. The other way round it might be in neither.
    Part("journal", "data"),
    Part(DATABASE_NAME, "data", "sqlite"),
    Part("antiphon.toml", "data"),
    Part("models.toml", "data"),
    Part("moderation.toml", "data"),
    # Encrypted; the row that refers to a file is always older than the file's end.
    Part("content", "data"),
    Part("models", "data", models=True),
    # After all that they open. Without these, what is in the other file opens nothing.
    Part(KEYS_NAME, "keys", "sqlite"),
    Part("pepper", "keys"),
    Part("receipts.key", "keys"),
    Part("*.secret", "keys"),
    Part("upstream-keys", "keys"),
)
"""In the order in which they are copied."""

MADE_ANEW = {
    "cache": "what vLLM made of models for this machine",
    "jobs": "what pages of the console had made, for an hour and never in a backup",
    "logs": "what engines printed",
    "run": "sockets and temporary files of running engines",
    "serve.json": "which process serves",
    "serve.lock": "held by the process that serves",
    "uploads": "recordings of running requests, which end with the server",
    **dict.fromkeys(
        (f"{name}{ending}" for name in (DATABASE_NAME, KEYS_NAME) for ending in ("-wal", "-shm", "-journal")),
        "what SQLite has not moved into its file; copied with that",
    ),
}
"""What else is there by our doing, and why nobody misses it after a restore."""

_LEFT_OUT = {"lock"}
_UNFINISHED = (".",)


def files(home: Path, part: Part) -> Iterator[Path]:
    """The files of a part, in a steady order; those that are only on their way are left out."""
    for found in sorted(home.glob(part.pattern)):
        if found.is_dir():
            inside = sorted(path for path in found.rglob("*") if path.is_file())
            yield from (path for path in inside if _whole(path.relative_to(home)))
        elif found.is_file():
            yield found


def unknown(home: Path) -> list[str]:
    """Names in the data folder that are neither a part nor made anew: somebody else put them there."""
    patterns = [*MADE_ANEW, *(part.pattern for part in PARTS)]
    names = sorted(path.name for path in home.iterdir() if not path.name.startswith(_UNFINISHED))
    return [name for name in names if not any(fnmatchcase(name, pattern) for pattern in patterns)]


def _whole(path: Path) -> bool:
    return path.name not in _LEFT_OUT and not any(step.startswith(_UNFINISHED) for step in path.parts)

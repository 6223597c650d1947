"""Days and times on the command line."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from antiphon.cli.output import CommandFailed, ExitCode

_DAY = "2026-12-01"


def moment(text: str, *, fix: str = "write a later one") -> int:
    """Unix seconds of a day (UTC) or of a time with its zone, which is to come.

    Raises `CommandFailed`; `fix` is what it says of one that is over.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or (found.tzinfo is None and len(text) > len(_DAY)):
        raise CommandFailed(
            f"'{text}' is no time",
            fix=f"write a day as {_DAY}, or a time with its zone as {_DAY}T09:00+01:00",
            exit_code=ExitCode.USAGE,
        )
    at = int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())
    if at <= time.time():
        raise CommandFailed(f"{text} is over", fix=fix, exit_code=ExitCode.USAGE)
    return at


def written(at: int | None) -> str:
    """A moment for people; empty without one."""
    return "" if at is None else f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"

"""One of all processes over a database does a job: it holds the job's lease, and takes it again in time."""

from __future__ import annotations

from sqlalchemy import Connection, or_, update

from antiphon.storage.sql import insert_missing
from antiphon.storage.tables import status_mark


def take(connection: Connection, job: str, holder: str, now: int, seconds: int) -> bool:
    """Whether `holder` has the lease for so many seconds from now: anew, or again."""
    name = f"lease/{job}"
    insert_missing(connection, status_mark, [{"name": name, "at": 0, "said": ""}])
    free = or_(status_mark.c.said == holder, status_mark.c.at <= now)
    change = update(status_mark).where(status_mark.c.name == name, free)
    return bool(connection.execute(change.values(at=now + seconds, said=holder)).rowcount)

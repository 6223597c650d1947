"""Jobs that one process does at a time, of all over a database: it holds a lease, which ends by itself."""

from __future__ import annotations

from sqlalchemy import Connection, delete, update

from antiphon.storage.sql import insert_missing
from antiphon.storage.tables import job_lease


def take(connection: Connection, job: str, holder: str, seconds: int, now: int) -> bool:
    """Hold a job for so many seconds from `now` (unix seconds) on, or longer if it is held already; False if
    another one holds it."""
    insert_missing(connection, job_lease, [{"job": job, "holder": holder, "until": 0}])
    free = (job_lease.c.holder == holder) | (job_lease.c.until <= now)
    mine = update(job_lease).where(job_lease.c.job == job, free)
    return bool(connection.execute(mine.values(holder=holder, until=now + seconds)).rowcount)


def give_back(connection: Connection, job: str, holder: str) -> None:
    """Let others have it."""
    connection.execute(delete(job_lease).where(job_lease.c.job == job, job_lease.c.holder == holder))


def end_at(connection: Connection, job: str, until: int) -> None:
    """Let it end at another moment, whoever holds it."""
    connection.execute(update(job_lease).where(job_lease.c.job == job).values(until=until))

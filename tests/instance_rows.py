"""Dedicated instances as rows, for tests of what is billed of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from sqlalchemy import Connection, Engine, StaticPool, create_engine, insert, select, update

from antiphon.ledger.time_charges import bill
from antiphon.storage import tables
from ledger_rows import found, rows

BEGIN = 1_796_083_200 - 2 * 3600 - 1000
"""30 November 2026, 21:43:20 UTC: a thousand seconds before 22:00, and two hours more before December."""
HOUR = 3600
ID = "dedicated_1"


@cache
def _empty() -> Engine:
    engine = create_engine("sqlite://", poolclass=StaticPool)
    tables.metadata.create_all(engine)
    return engine


@contextmanager
def fresh_books() -> Iterator[Connection]:
    """Two organizations in a database that is forgotten afterwards, at once."""
    with _empty().connect() as connection:
        found(connection)
        try:
            yield connection
        finally:
            connection.rollback()


def sell(
    connection: Connection,
    id: str = ID,
    organization_id: str = "org-1",
    *,
    begins_at: int = BEGIN,
    ends_at: int | None = None,
    replicas: int = 1,
    price: int = 3600,
    snapshot: str = "model-1",
) -> str:
    """An instance, by default for a nano-dollar a second, of an organization that is there."""
    instance: dict[str, Any] = {
        "id": id,
        "organization_id": organization_id,
        "name": id,
        "snapshot": snapshot,
        "engine": "llama",
        "context": 100,
        "load": 1,
        "replicas": replicas,
        "spill_over": False,
        "cpus": 1000,
        "memory": 0,
        "gpus": 0,
        "begins_at": begins_at,
        "ends_at": ends_at,
        "created_at": min(BEGIN, begins_at),
        "server": "here",
        "ordered": b"",
    }
    connection.execute(insert(tables.dedicated_instance).values(instance))
    rate(connection, id, begins_at, replicas, price)
    return id


def rate(connection: Connection, id: str, at: int, replicas: int, price: int = 3600) -> None:
    """What an instance costs from a moment on."""
    values = {"instance_id": id, "begins_at": at, "replicas": replicas, "price": price}
    connection.execute(insert(tables.dedicated_rate).values(values))


def stop(connection: Connection, id: str, at: int) -> None:
    row = update(tables.dedicated_instance).where(tables.dedicated_instance.c.id == id)
    connection.execute(row.values(ends_at=at))


def ready(connection: Connection, id: str, begin: int, end: int, replica: int = 0) -> None:
    values = {"instance_id": id, "replica": replica, "begins_at": begin, "ends_at": end}
    connection.execute(insert(tables.dedicated_ready).values(values))


def charges(connection: Connection, id: str = ID) -> list[tuple[int, int, int, int]]:
    """What was charged of an instance: from, until, charged, credited."""
    found = [row for row in rows(connection, tables.time_charge) if row["instance_id"] == id]
    found.sort(key=lambda row: row["begins_at"])
    return [(row["begins_at"], row["ends_at"], row["charged"], row["credited"]) for row in found]


def billed(connection: Connection, now: int, id: str = ID) -> list[tuple[int, int, int, int]]:
    """All that was charged of an instance once what is due is billed; and that is as much as is returned."""
    before = connection.execute(select(tables.time_charge.c.id)).all()
    made = bill(connection, now)
    after = connection.execute(select(tables.time_charge.c.id)).all()
    assert len(after) - len(before) == len(made)
    return charges(connection, id)

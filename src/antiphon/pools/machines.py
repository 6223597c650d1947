"""The machines where engines run, as the processes that run them have told."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, delete, insert, select

from antiphon.storage.tables import machine
from antiphon.values import Capacity

FORGOTTEN = 180
"""Seconds after which a machine of which nothing was heard is no longer counted on: three times a telling."""


def tell(connection: Connection, machines: Mapping[str, Capacity], now: int) -> None:
    """There are these, at `now` (unix seconds)."""
    connection.execute(delete(machine).where(machine.c.name.in_(machines)))
    rows = [
        {"name": name, "cpus": has.cpus, "memory": has.memory, "gpus": has.gpus, "seen_at": now}
        for name, has in sorted(machines.items())
    ]
    if rows:
        connection.execute(insert(machine), rows)


def known(connection: Connection, now: int) -> list[Capacity]:
    """What each machine has of which was heard lately, by name."""
    query = select(machine).where(machine.c.seen_at > now - FORGOTTEN).order_by(machine.c.name)
    return [Capacity(cpus=row.cpus, memory=row.memory, gpus=row.gpus) for row in connection.execute(query)]

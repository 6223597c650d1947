"""The machines where engines run, as the servers that run them have told."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from sqlalchemy import Connection, select

from antiphon.storage import sql
from antiphon.storage.tables import machine
from antiphon.values import Capacity

FORGOTTEN = 180
"""Seconds after which a machine of which nothing was heard is no longer counted on: three times a telling."""


class Machine(msgspec.Struct, frozen=True):
    """What a machine has, and the server that runs engines there. Several may do so on one machine."""

    server: str
    name: str
    has: Capacity


def tell(connection: Connection, server: str, machines: Mapping[str, Capacity], now: int) -> None:
    """A server has these, at `now` (unix seconds)."""
    rows = [
        {"server": server, "name": name, "cpus": has.cpus, "memory": has.memory, "gpus": has.gpus}
        for name, has in sorted(machines.items())
    ]
    if rows:
        told = sql.insert(connection, machine).values([row | {"seen_at": now} for row in rows])
        changed = {name: told.excluded[name] for name in ("cpus", "memory", "gpus", "seen_at")}
        keys = list(machine.primary_key)
        connection.execute(told.on_conflict_do_update(index_elements=keys, set_=changed))


def known(connection: Connection, now: int) -> list[Machine]:
    """Those of which was heard lately, by their servers and names."""
    query = select(machine).where(machine.c.seen_at > now - FORGOTTEN)
    return [
        Machine(row.server, row.name, Capacity(cpus=row.cpus, memory=row.memory, gpus=row.gpus))
        for row in connection.execute(query.order_by(machine.c.server, machine.c.name))
    ]

"""Dedicated instances as a catalogue is given them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert

from antiphon.catalogue.instances import Instance
from antiphon.storage import tables
from antiphon.storage.database import Database
from pretended import BASE

NOW = 1_800_000_000


def instance(**changes: Any) -> Instance:
    """One of the organization `org-1`, of the bundled speech model, from now on."""
    facts: dict[str, Any] = {
        "id": "dedicated_1",
        "organization_id": "org-1",
        "name": "ours",
        "snapshot": BASE,
        "engine": "speech",
        "context": 0,
        "load": 4,
        "replicas": 2,
        "spill_over": False,
        "cpus": 1000,
        "memory": 2**30,
        "gpus": 0,
        "begins_at": NOW,
        "ends_at": None,
        "created_at": NOW - 100,
        "server": "here",
    }
    return Instance(**(facts | changes))


async def put(database: Database, *sold: Instance) -> None:
    """Let these be what was sold."""
    async with database.begin() as connection:
        await connection.execute(tables.dedicated_instance.delete())
        for owner in sorted({one.organization_id for one in sold}):
            there = tables.organization.c.id == owner
            await connection.execute(tables.organization.delete().where(there))
            row = {"id": owner, "name": owner, "created_at": 0, "prepaid": False}
            await connection.execute(insert(tables.organization).values(row))
        for one in sold:
            row = {name: getattr(one, name) for name in one.__struct_fields__}
            await connection.execute(insert(tables.dedicated_instance).values(row))

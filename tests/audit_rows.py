"""Rows of the audit log, and a database whose triggers are gone: as an attacker leaves it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, insert, text

from antiphon.storage import chain
from antiphon.storage.tables import organization

PEPPER = b"p" * 32


def event(number: int, organization_id: str | None = "org-a") -> dict[str, Any]:
    return {
        "id": f"audit_log-{number:030x}",
        "organization_id": organization_id,
        "type": "thing.updated",
        "effective_at": 1000 + number,
        "project_id": None,
        "actor_key_id": None if number % 2 else "key_a",
        "payload": f'{{"id":"thing_{number}"}}',
    }


def fill(connection: Connection, *chains: str | None, rows: int = 5) -> None:
    """So many rows in each chain, in turns; None is the installation's."""
    for name in filter(None, chains):
        row = {"id": name, "name": name, "created_at": 1, "prepaid": False}
        connection.execute(insert(organization).values(row))
    for number in range(rows):
        for place, name in enumerate(chains):
            chain.append(connection, event(number * len(chains) + place, name))


def without_triggers(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        for table in ("audit_log", "audit_head"):
            connection.execute(text(f"alter table {table} disable trigger user"))
        return
    found = connection.scalars(text("select name from sqlite_master where type = 'trigger'")).all()
    for name in found:
        connection.execute(text(f"drop trigger {name}"))

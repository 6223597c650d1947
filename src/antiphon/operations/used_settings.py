"""With which settings a server was started: in the audit log, where it is not as it was the last time."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from antiphon import settings as table
from antiphon.settings import Settings
from antiphon.storage import audit
from antiphon.storage.chain import INSTALLATION
from antiphon.storage.database import Database
from antiphon.storage.tables import audit_log

TYPE = "settings.updated"
_HIDDEN = "(not shown)"
_SECRET = ("content_keys", "database", "valkey", "webhook")
"""Addresses, which may hold a password."""
_LOOKED_AT = 100
"""Of the newest events, so many are searched for what this server said before."""


async def record(database: Database, settings: Settings, now: float) -> None:
    """Say what this server's settings are, but for their defaults, unless that was said last. `now` in unix
    seconds."""
    payload = {"id": settings.server, "changes_requested": _given(settings)}
    async with database.connect() as connection:
        if await _last(connection, settings.server) == payload:
            return
    async with database.begin() as connection:
        await audit.record(connection, TYPE, payload, organization_id=None, by=None, now=now)


def _given(settings: Settings) -> dict[str, Any]:
    values = {row.name: getattr(settings, row.name) for row in table.rows()}
    given = {row.name: values[row.name] for row in table.rows() if values[row.name] != row.default}
    plain: dict[str, Any] = msgspec.to_builtins(given)
    return {name: _HIDDEN if name in _SECRET else value for name, value in plain.items()}


async def _last(connection: AsyncConnection, server: str) -> dict[str, Any] | None:
    """What a server said last."""
    query = (
        select(audit_log.c.payload)
        .where(audit_log.c.chain == INSTALLATION, audit_log.c.type == TYPE)
        .order_by(audit_log.c.sequence.desc())
        .limit(_LOOKED_AT)
    )
    said = (msgspec.json.decode(payload) for payload in await connection.scalars(query))
    found: dict[str, Any] | None = next((one for one in said if one["id"] == server), None)
    return found

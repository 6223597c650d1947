"""Tells the operator's webhook of incidents: opened, become worse, over; each once, as `telling` does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, NoReturn

import msgspec
from sqlalchemy import select, update

from antiphon.errors import AntiphonError
from antiphon.operations.telling import DELAYS, LEASE_SECONDS
from antiphon.operations.webhook import Webhook
from antiphon.status import incidents
from antiphon.status.report import incident
from antiphon.storage.database import Database
from antiphon.storage.tables import status_message

_LOOK = 5.0

log = logging.getLogger(__name__)


class IncidentTeller:
    """`clock` gives unix seconds."""

    def __init__(self, database: Database, webhook: Webhook, clock: Callable[[], float]) -> None:
        self._database = database
        self._webhook = webhook
        self._clock = clock

    async def run(self) -> NoReturn:
        """Until cancelled. What the database does not take now is tried again; a complaint is logged once."""
        complaint = ""
        while True:
            try:
                await self.look()
                complaint = ""
            except AntiphonError as problem:
                if str(problem) != complaint:
                    complaint = str(problem)
                    log.warning("the webhook is told of no incident: %s", problem)
            await asyncio.sleep(_LOOK)

    async def look(self) -> None:
        """Tell what is due."""
        async with self._database.connect() as connection:
            due = (await connection.execute(_due(int(self._clock())))).all()
        for row in due:
            await self._tell(row)

    async def _tell(self, row: Any) -> None:
        now = int(self._clock())
        mine = update(status_message).where(
            status_message.c.id == row.id, status_message.c.next_at == row.next_at
        )
        lease = {"attempts": row.attempts + 1, "next_at": now + LEASE_SECONDS}
        async with self._database.begin() as connection:
            if not (await connection.execute(mine.values(lease))).rowcount:
                return  # another one tells it
        async with self._database.connect() as connection:
            found = await connection.run_sync(partial(incidents.get, incident_id=row.incident_id))
        failure = await self._webhook.post(row.id, now, body(row.event, row.created_at, found))
        over: dict[str, int | None] = {"sent_at": now, "next_at": None}
        if failure:
            over = {"next_at": now + DELAYS[row.attempts] if row.attempts < len(DELAYS) else None}
            log.warning("the webhook was not told of %s: %s", row.incident_id, failure)
        async with self._database.begin() as connection:
            change = update(status_message).where(status_message.c.id == row.id)
            await connection.execute(change.values(over))


def body(event: str, created_at: int, found: incidents.Incident) -> bytes:
    """The message as JSON: the incident as it is now."""
    timestamp = f"{datetime.fromtimestamp(created_at, UTC):%Y-%m-%dT%H:%M:%SZ}"
    told = {"type": f"incident.{event}", "timestamp": timestamp, "data": incident(found)}
    return msgspec.json.encode(told)


def _due(now: int) -> Any:
    """What nobody is telling, and somebody should, the oldest first."""
    return select(status_message).where(status_message.c.next_at <= now).order_by(status_message.c.id)

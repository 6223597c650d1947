"""Tells the operator's webhook of flags that are more than notes, and of appeals: each once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NoReturn

import msgspec
from sqlalchemy import select, update

from antiphon.errors import AntiphonError
from antiphon.moderation.policy import Found
from antiphon.operations.webhook import Webhook
from antiphon.storage.database import Database
from antiphon.storage.moderation_tables import flag

DELAYS = (5, 30, 120, 600, 3600, 10_800, 21_600, 43_200)
"""Seconds between the tries of a message; it is given up after the last."""
LEASE_SECONDS = 60
_LOOK = 2.0
_AT_ONCE = 100

log = logging.getLogger(__name__)


class Alerter:
    """`clock` in unix seconds. Any number of machines over one database share the work."""

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
                    log.warning("the webhook is told of no flags: %s", problem)
            await asyncio.sleep(_LOOK)

    async def look(self) -> None:
        """Tell what is due."""
        due = select(flag).where(flag.c.next_at <= int(self._clock())).order_by(flag.c.id).limit(_AT_ONCE)
        async with self._database.connect() as connection:
            rows = (await connection.execute(due)).all()
        for row in rows:
            await self._tell(row)

    async def _tell(self, row: Any) -> None:
        now = int(self._clock())
        lease = {"attempts": row.attempts + 1, "next_at": now + LEASE_SECONDS}
        same = update(flag).where(
            flag.c.id == row.id, flag.c.appealed_at.is_not_distinct_from(row.appealed_at)
        )
        async with self._database.begin() as connection:
            if not (
                await connection.execute(same.where(flag.c.next_at == row.next_at).values(lease))
            ).rowcount:
                return  # another one tells it
        id = row.id if row.appealed_at is None else f"{row.id}.appeal"
        failure = await self._webhook.post(id, now, body(row))
        over: dict[str, int | None] = {"told_at": now, "next_at": None}
        if failure:
            later = now + DELAYS[row.attempts] if row.attempts < len(DELAYS) else None
            over = {"next_at": later}
            log.warning(
                "the webhook was not told of %s: %s%s", row.id, failure, "" if later else "; given up"
            )
        # An appeal that came meanwhile is due: it stays so.
        async with self._database.begin() as connection:
            await connection.execute(same.where(flag.c.next_at == lease["next_at"]).values(over))


def body(row: Any) -> bytes:
    """The message as JSON: what was flagged and where, and nothing of what was said."""
    findings = msgspec.json.decode(row.findings, type=list[Found])
    data = {
        "flag": row.id,
        "organization": row.organization_id,
        "project": row.project_id,
        "key": row.key_id,
        "request": row.request_id,
        "model": row.snapshot,
        "category": row.category,
        "score": row.score / 1000,
        "action": row.action,
        "detail": row.detail,
        "findings": findings,
    }
    type, moment = ("flag.raised", row.created_at)
    if row.appealed_at is not None:
        type, moment = ("flag.appealed", row.appealed_at)
    at = f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%dT%H:%M:%SZ}"
    return msgspec.json.encode({"type": type, "timestamp": at, "data": data})

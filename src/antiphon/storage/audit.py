"""One row of the audit log, written in the transaction of the change that it tells of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from antiphon.storage import chain
from antiphon.storage.ids import ordered_id
from antiphon.values import Caller


async def record(
    connection: AsyncConnection,
    type: str,
    payload: Mapping[str, Any],
    *,
    organization_id: str | None,
    project_id: str | None = None,
    by: Caller | None,
    now: float,
) -> None:
    """Say that `by` did something; None is the operator at the command line. `now` in unix seconds.

    `type` as OpenAI names events (`api_key.created`), or of the same form where it has none. `payload` is
    what the event shows under its type: ids and what was changed, never a secret. An act without an
    organization is one of the whole installation.

    Until the transaction ends nobody else writes to the same log: it should do little after this.
    """
    event = {
        "id": ordered_id("audit_log-", now),
        "organization_id": organization_id,
        "type": type,
        "effective_at": int(now),
        "project_id": project_id,
        "actor_key_id": by.key_id if by else None,
        "payload": msgspec.json.encode(payload).decode(),
    }
    await connection.run_sync(chain.append, event)


class Recorder:
    """`record` by one clock (unix seconds), for a service that tells of what it changes."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock

    async def __call__(
        self,
        connection: AsyncConnection,
        type: str,
        payload: Mapping[str, Any],
        organization_id: str | None,
        by: Caller | None,
        project_id: str | None = None,
    ) -> None:
        await record(
            connection,
            type,
            payload,
            organization_id=organization_id,
            project_id=project_id,
            by=by,
            now=self._clock(),
        )

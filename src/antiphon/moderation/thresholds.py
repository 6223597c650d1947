"""The thresholds that operators set: for all organizations, or for one."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

from sqlalchemy import Connection, delete, select

from antiphon.errors import InvalidRequest, NotFound
from antiphon.moderation.policy import KNOWN, Action, Threshold, Thresholds, in_force
from antiphon.storage import audit, sql
from antiphon.storage.database import Database
from antiphon.storage.moderation_tables import moderation_threshold
from antiphon.storage.tables import organization
from antiphon.values import Caller

EVERYBODY = "*"
MOST_TIMES = 1000


def read(connection: Connection, organization_id: str) -> Thresholds:
    """What is in force for an organization; `EVERYBODY` for those without anything of their own."""
    layers = [_layer(connection, scope) for scope in dict.fromkeys((EVERYBODY, organization_id))]
    return in_force(*layers)


class ThresholdStore:
    """`by` is who asks; None is the operator's command line. `NotFound` for an organization there is not."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    async def of(self, organization_id: str) -> Thresholds:
        async with self._database.connect() as connection:
            return await connection.run_sync(read, organization_id)

    async def set(
        self,
        scope: str,
        category: str,
        action: str,
        score: float | None,
        *,
        times: int = 1,
        by: Caller | None,
    ) -> None:
        """From this score on; None: never. Raises `InvalidRequest`, naming the parameter."""
        _check(category, action, score, times)
        row = {"scope": scope, "category": category, "action": action}
        values = {
            "score": None if score is None else round(score * 1000),
            "times": times,
            "updated_at": int(self._clock()),
        }

        def write(connection: Connection) -> None:
            statement = sql.insert(connection, moderation_threshold).values(row | values)
            connection.execute(
                statement.on_conflict_do_update(index_elements=["scope", "category", "action"], set_=values)
            )

        async with self._database.begin() as connection:
            await connection.run_sync(_require, scope)
            await connection.run_sync(write)
            if scope != EVERYBODY:
                changes = {"category": category, "action": action, "score": score, "times": times}
                await audit.record(
                    connection,
                    "moderation_threshold.updated",
                    {"id": f"{category}/{action}", "changes_requested": changes},
                    organization_id=scope,
                    by=by,
                    now=self._clock(),
                )

    async def reset(self, scope: str, *, by: Caller | None) -> None:
        """Go back to what counts for everybody, or, for everybody, to the defaults."""
        async with self._database.begin() as connection:
            await connection.run_sync(_require, scope)
            await connection.execute(
                delete(moderation_threshold).where(moderation_threshold.c.scope == scope)
            )
            if scope != EVERYBODY:
                await audit.record(
                    connection,
                    "moderation_threshold.deleted",
                    {"id": scope},
                    organization_id=scope,
                    by=by,
                    now=self._clock(),
                )


def _layer(connection: Connection, scope: str) -> Thresholds:
    rows = connection.execute(select(moderation_threshold).where(moderation_threshold.c.scope == scope))
    return {
        (row.category, row.action): Threshold(None if row.score is None else row.score / 1000, row.times)
        for row in rows
    }


def _check(category: str, action: str, score: float | None, times: int) -> None:
    if category not in KNOWN:
        raise InvalidRequest(f"'category' must be one of {', '.join(KNOWN)}.", param="category")
    if action not in get_args(Action):
        raise InvalidRequest(f"'action' must be one of {', '.join(get_args(Action))}.", param="action")
    if score is not None and not 0 < score <= 1:
        raise InvalidRequest("'score' must be above 0 and at most 1, or null for never.", param="score")
    if not 1 <= times <= MOST_TIMES:
        raise InvalidRequest(f"'times' must be between 1 and {MOST_TIMES}.", param="times")


def _require(connection: Connection, scope: str) -> None:
    query = select(organization.c.id).where(organization.c.id == scope)
    if scope != EVERYBODY and connection.scalar(query) is None:
        raise NotFound("There is no such organization.")

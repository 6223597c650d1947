"""Usage by minute, hour and day, kept as requests are settled: what usage and cost pages read.

A request counts where it began, in UTC: in the same month as its bill.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import add as add_up
from typing import Any

from sqlalchemy import Connection

from antiphon.ledger.prices import Cost
from antiphon.ledger.requests import Request
from antiphon.storage import sql
from antiphon.storage.tables import usage_rollup

MINUTE, HOUR, DAY = 60, 3600, 86_400
WIDTHS = (MINUTE, HOUR, DAY)
SUMS = (
    "requests",
    "input_tokens",
    "cached_tokens",
    "output_tokens",
    "seconds",
    "input_cost",
    "output_cost",
    "audio_cost",
)

KEY = tuple(column.name for column in usage_rollup.primary_key)
Key = tuple[Any, ...]
"""The values of `KEY`."""


class Rollups:
    """The rows that settled requests add up to."""

    def __init__(self) -> None:
        self._minutes: dict[Key, list[int]] = {}
        """The sums of each minute; its key with task and member."""

    def count(self, request: Request, cost: Cost) -> None:
        """Add one, with the parts of what it is charged."""
        start = request.created_at - request.created_at % MINUTE
        key = (
            request.organization_id,
            start,
            request.project_id,
            request.key_id,
            request.snapshot,
            request.task,
            request.member_id,
        )
        counted, sums = _counted(request, cost), self._minutes.get(key)
        self._minutes[key] = [*map(add_up, sums, counted)] if sums else [*counted]

    @property
    def rows(self) -> dict[Key, dict[str, Any]]:
        """Those of all widths."""
        rows: dict[Key, dict[str, Any]] = {}
        for (organization, minute, project, key_id, snapshot, task, member), sums in self._minutes.items():
            for width in WIDTHS:
                key = (organization, width, minute - minute % width, project, key_id, snapshot)
                row = rows.get(key)
                if row is None:
                    owner = {"task": task, "member_id": member}
                    row = rows[key] = dict(zip(KEY, key, strict=True)) | owner | dict.fromkeys(SUMS, 0)
                for name, count in zip(SUMS, sums, strict=True):
                    row[name] += count
        return rows


def counts(request: Request, cost: Cost) -> dict[str, int]:
    """What one settled request adds to a row."""
    return dict(zip(SUMS, _counted(request, cost), strict=True))


def _counted(request: Request, cost: Cost) -> tuple[int, ...]:
    return (
        1,
        request.input_tokens,
        request.cached_tokens,
        request.output_tokens,
        request.seconds,
        cost.input,
        cost.output,
        cost.audio,
    )


def add(connection: Connection, settled: Iterable[tuple[Request, Cost]]) -> None:
    """Count settled requests, each of them once."""
    rollups = Rollups()
    for request, cost in settled:
        rollups.count(request, cost)
    sql.add(connection, usage_rollup, list(rollups.rows.values()), SUMS)

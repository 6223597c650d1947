"""Usage by minute, hour and day, kept as requests are settled: what usage and cost pages read.

A request counts where it began, in UTC: in the same month as its bill.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection

from antiphon.ledger import sql
from antiphon.ledger.prices import Cost
from antiphon.ledger.requests import Request
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
        self.rows: dict[Key, dict[str, Any]] = {}

    def count(self, request: Request, cost: Cost) -> None:
        """Add one, with the parts of what it is charged."""
        for width in WIDTHS:
            row = self._row(request, width)
            for name, count in counts(request, cost).items():
                row[name] += count

    def _row(self, request: Request, width: int) -> dict[str, Any]:
        start = request.created_at - request.created_at % width
        key = (request.organization_id, width, start, request.project_id, request.key_id, request.snapshot)
        row = self.rows.get(key)
        if row is None:
            owner = {"task": request.task, "member_id": request.member_id}
            row = self.rows[key] = dict(zip(KEY, key, strict=True)) | owner | dict.fromkeys(SUMS, 0)
        return row


def counts(request: Request, cost: Cost) -> dict[str, int]:
    """What one settled request adds to a row."""
    values = (
        1,
        request.input_tokens,
        request.cached_tokens,
        request.output_tokens,
        request.seconds,
        cost.input,
        cost.output,
        cost.audio,
    )
    return dict(zip(SUMS, values, strict=True))


def add(connection: Connection, settled: Iterable[tuple[Request, Cost]]) -> None:
    """Count settled requests, each of them once."""
    rollups = Rollups()
    for request, cost in settled:
        rollups.count(request, cost)
    sql.add(connection, usage_rollup, list(rollups.rows.values()), SUMS)

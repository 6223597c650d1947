"""What organizations used and what it cost, from the rollups: reading it does not get slower with history."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection, Row, func, select

from antiphon.ledger.buckets import GROUPS, SECONDS, Buckets, Group, Page, Query, Width, rows
from antiphon.storage.tables import time_charge, usage_rollup
from antiphon.values import Task

LIMITS: Mapping[Width, tuple[int, int]] = {"1m": (60, 1440), "1h": (24, 168), "1d": (7, 31)}
"""Buckets of a page of usage: how many if nothing is said, and how many at most."""
COST_LIMITS: Mapping[Width, tuple[int, int]] = {**LIMITS, "1d": (7, 180)}

Unit = Literal["tokens", "duration_seconds"]
LINE_ITEMS = ("input", "output", "audio", "dedicated")
"""What a snapshot is paid for; with its name, the line items of a bill."""
_USAGE = ("requests", "input_tokens", "cached_tokens", "output_tokens", "seconds")
_COSTS = ("input_tokens", "output_tokens", "seconds", "input_cost", "output_cost", "audio_cost")


class UsageResult(msgspec.Struct, kw_only=True):
    """What one group used in a bucket; what is not grouped by is None. `input_tokens` has cached ones too."""

    project_id: str | None = None
    user_id: str | None = None
    api_key_id: str | None = None
    model: str | None = None
    requests: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    seconds: int


class CostResult(msgspec.Struct, kw_only=True):
    """What one group cost in a bucket, in nano-dollars; the quantity where it is grouped by line items."""

    project_id: str | None = None
    user_id: str | None = None
    api_key_id: str | None = None
    model: str | None = None
    line_item: str | None = None
    amount: int = 0
    quantity: int | None = None
    unit: Unit | None = None


def usage(connection: Connection, query: Query, task: Task | None = None) -> Page[UsageResult]:
    """A page of the usage of settled requests, of one task or of all. Raises as `Buckets` does."""
    buckets = Buckets(query, LIMITS)
    found: dict[int, list[UsageResult]] = {}
    for row in rows(connection, query, buckets, query.groups, _USAGE, task):
        counts: dict[str, Any] = {name: int(getattr(row, name)) for name in _USAGE}
        found.setdefault(row.start, []).append(UsageResult(**_of(row, query.groups), **counts))
    return buckets.page(found)


def costs(connection: Connection, query: Query) -> Page[CostResult]:
    """A page of the costs of settled requests and of instances. Raises as `Buckets` does."""
    buckets = Buckets(query, COST_LIMITS)
    by_item = "line_item" in query.group_by
    found: dict[int, dict[tuple[str | None, ...], CostResult]] = {}
    for row in rows(connection, query, buckets, dict.fromkeys([*query.groups, "model"]), _COSTS):
        for item, amount, quantity, unit in _line_items(row):
            if query.line_items and item not in query.line_items:
                continue
            group = _of(row, query.groups) | ({"line_item": item} if by_item else {})
            results = found.setdefault(row.start, {})
            result = results.setdefault(tuple(group.values()), CostResult(**group))
            result.amount += amount
            if by_item:
                result.quantity, result.unit = (result.quantity or 0) + quantity, unit
    _add_time(connection, query, buckets, found)
    return buckets.page({start: list(results.values()) for start, results in found.items()})


def _add_time(
    connection: Connection,
    query: Query,
    buckets: Buckets,
    found: dict[int, dict[tuple[str | None, ...], CostResult]],
) -> None:
    """What instances cost by time: an organization's, and of no project or key."""
    if query.project_ids or query.user_ids or query.api_key_ids:
        return
    columns = time_charge.c
    start = (columns.begins_at - columns.begins_at % buckets.width).label("start")
    charges: Any = select(
        start,
        columns.snapshot,
        func.sum(columns.charged - columns.credited).label("cost"),
        func.sum(columns.ends_at - columns.begins_at).label("seconds"),
    ).where(
        columns.organization_id == query.organization_id,
        columns.begins_at >= buckets.start,
        columns.begins_at < buckets.end,
    )
    if query.models:
        charges = charges.where(columns.snapshot.in_(query.models))
    for row in connection.execute(charges.group_by(start, columns.snapshot).order_by(start)):
        item = f"{row.snapshot}, dedicated"
        if query.line_items and item not in query.line_items:
            continue
        group: dict[str, Any] = dict.fromkeys(query.groups)
        if "model" in group:
            group["model"] = row.snapshot
        if "line_item" in query.group_by:
            group["line_item"] = item
        results = found.setdefault(row.start, {})
        result = results.setdefault(tuple(group.values()), CostResult(**group))
        result.amount += int(row.cost)
        if "line_item" in group:
            result.quantity = (result.quantity or 0) + int(row.seconds)
            result.unit = "duration_seconds"


def first_used(connection: Connection, organization_id: str, group: Group, since: int) -> list[str]:
    """What an organization has used since a day (unix seconds), by when it first did: ids, snapshots, or line
    items."""
    column = GROUPS["model" if group == "line_item" else group]
    days = usage_rollup.c
    query = select(column).where(
        days.organization_id == organization_id,
        days.width == SECONDS["1d"],
        days.start >= since,
        column.is_not(None),
    )
    found = connection.scalars(query.group_by(column).order_by(func.min(days.start), column)).all()
    if group == "line_item":
        return [f"{snapshot}, {part}" for snapshot in found for part in LINE_ITEMS]
    return list(found)


def dollars(nano: int) -> Decimal:
    """Nano-dollars as dollars, exactly."""
    return Decimal(nano).scaleb(-9)


def _of(row: Row[Any], groups: Iterable[str]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in groups}


def _line_items(row: Row[Any]) -> Iterator[tuple[str, int, int, Unit]]:
    """What a snapshot's usage is made of: a name, nano-dollars, and how much of what."""
    if row.input_tokens:
        yield f"{row.model}, input", int(row.input_cost), int(row.input_tokens), "tokens"
    if row.output_tokens:
        yield f"{row.model}, output", int(row.output_cost), int(row.output_tokens), "tokens"
    if row.seconds:
        yield f"{row.model}, audio", int(row.audio_cost), int(row.seconds), "duration_seconds"

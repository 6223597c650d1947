"""What an organization asks of a model: how long its prompts and answers are, what each day costs, its peak.

What was asked to measure an instance is left out: that is nobody's use.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, func, select

from antiphon.ledger.advice import Day
from antiphon.ledger.rollups import DAY, MINUTE
from antiphon.storage.tables import api_key, project, request, usage_rollup

MEASURING = "antiphon dedicated tune"
"""What the keys are called with which instances are measured."""


class Shape(msgspec.Struct, frozen=True):
    """How many tokens a request has: of its prompt, and of its answer."""

    prompt: int
    answer: int


class Peak(msgspec.Struct, frozen=True):
    """The busiest minute: when it began (unix seconds), and the tokens of the requests that began in it."""

    start: int
    tokens: int

    @property
    def rate(self) -> int:
        """Tokens a second, rounded up."""
        return -(-self.tokens // MINUTE)


def shapes(
    connection: Connection, organization_id: str, snapshot: str, since: int, limit: int
) -> list[Shape]:
    """Those of the newest chat requests, at most so many, that were answered since a moment."""
    columns = request.c
    # Its projects are named, since the index of requests begins with them.
    projects = select(project.c.id).where(project.c.organization_id == organization_id)
    query = select(columns.input_tokens, columns.output_tokens).where(
        columns.project_id.in_(projects),
        columns.created_at >= since,
        columns.snapshot == snapshot,
        columns.task == "chat",
        columns.status == "settled",
        columns.input_tokens > 0,
        columns.output_tokens > 0,
        columns.key_id.not_in(_measuring(organization_id)),
    )
    found = connection.execute(query.order_by(columns.created_at.desc(), columns.id).limit(limit))
    return [Shape(prompt, answer) for prompt, answer in found]


def snapshots(connection: Connection, organization_id: str, first: date, last: date) -> list[str]:
    """The chat models that were used on these days, the dearest first."""
    columns = usage_rollup.c
    cost = func.sum(columns.input_cost + columns.output_cost)
    query = select(columns.snapshot).where(_used(organization_id, DAY, first, last), columns.task == "chat")
    found = connection.scalars(query.group_by(columns.snapshot).order_by(cost.desc(), columns.snapshot))
    return list(found)


def days(
    connection: Connection, organization_id: str, snapshot: str, first: date, last: date
) -> Sequence[Day]:
    """What a model cost on each day from `first` to `last`, also on those on which it was not used."""
    columns = usage_rollup.c
    cost: Any = func.sum(columns.input_cost + columns.output_cost)
    tokens: Any = func.sum(columns.input_tokens + columns.output_tokens)
    query = select(columns.start, cost, tokens).where(
        _used(organization_id, DAY, first, last), columns.snapshot == snapshot
    )
    rows = connection.execute(query.group_by(columns.start))
    found = {start: (int(cost), int(tokens)) for start, cost, tokens in rows}
    return [
        Day(day, *found.get(_midnight(day), (0, 0)))
        for day in (first + timedelta(number) for number in range((last - first).days + 1))
    ]


def peak(connection: Connection, organization_id: str, snapshot: str, first: date, last: date) -> Peak | None:
    """The busiest minute of these days; None if there was none. Of equal ones it is the earliest."""
    columns = usage_rollup.c
    tokens: Any = func.sum(columns.input_tokens + columns.output_tokens)
    query = select(columns.start, tokens).where(
        _used(organization_id, MINUTE, first, last), columns.snapshot == snapshot
    )
    busiest = query.group_by(columns.start).order_by(tokens.desc(), columns.start).limit(1)
    row = connection.execute(busiest).one_or_none()
    return None if row is None else Peak(row[0], int(row[1]))


def _used(organization_id: str, width: int, first: date, last: date) -> ColumnElement[bool]:
    """The rollups of an organization from the first day to the last, but for measurements."""
    columns = usage_rollup.c
    return (
        (columns.organization_id == organization_id)
        & (columns.width == width)
        & (columns.start >= _midnight(first))
        & (columns.start < _midnight(last + timedelta(1)))
        & columns.key_id.not_in(_measuring(organization_id))
    )


def _measuring(organization_id: str) -> Any:
    return select(api_key.c.id).where(
        api_key.c.organization_id == organization_id, api_key.c.name == MEASURING
    )


def _midnight(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp())

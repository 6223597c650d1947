"""Pages of buckets over the rollups: whole minutes, hours or days in UTC, the empty ones too."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Any, Generic, Literal, TypeVar

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, func, select

from antiphon.errors import InvalidRequest
from antiphon.ledger import rollups
from antiphon.storage.tables import usage_rollup
from antiphon.values import Task

Width = Literal["1m", "1h", "1d"]
Group = Literal["project_id", "user_id", "api_key_id", "model", "line_item"]

MOST_ROWS = 10_000
"""Rows of a page over all its buckets, at most."""

SECONDS: Mapping[Width, int] = {"1m": rollups.MINUTE, "1h": rollups.HOUR, "1d": rollups.DAY}

_COLUMNS = usage_rollup.c
GROUPS: Mapping[str, ColumnElement[Any]] = {
    "project_id": _COLUMNS.project_id,
    "user_id": _COLUMNS.member_id,
    "api_key_id": _COLUMNS.key_id,
    "model": _COLUMNS.snapshot,
}
"""What a rollup can be grouped and filtered by."""

T = TypeVar("T")


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for: from `start` until before `end`, in unix seconds. An empty filter lets all through.

    `models` are snapshots. `limit` counts buckets; `page` is the `next_page` of the page before.
    """

    organization_id: str
    start: int
    end: int
    width: Width = "1d"
    group_by: tuple[Group, ...] = ()
    project_ids: tuple[str, ...] = ()
    user_ids: tuple[str, ...] = ()
    api_key_ids: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    line_items: tuple[str, ...] = ()
    """Of costs alone, as `<snapshot>, input`."""
    limit: int | None = None
    page: str | None = None

    @property
    def groups(self) -> list[str]:
        """The columns it groups by, always in the same order."""
        return [name for name in GROUPS if name in self.group_by]


class Bucket(msgspec.Struct, Generic[T], frozen=True):
    """From `start` until before `end`, in unix seconds."""

    start: int
    end: int
    results: list[T]


class Page(msgspec.Struct, Generic[T], frozen=True):
    """Buckets in the order of time; `next_page` is None on the last page."""

    data: list[Bucket[T]]
    next_page: str | None


class Buckets:
    """Which buckets a page has: those that the range of a query touches, at most so many.

    Raises `InvalidRequest` for a range, limit or page that is none, naming the parameter as OpenAI does.
    """

    def __init__(self, query: Query, limits: Mapping[Width, tuple[int, int]]) -> None:
        """`limits`: how many a page has if nothing is said, and how many at most."""
        self.width = SECONDS[query.width]
        usual, most = limits[query.width]
        limit = usual if query.limit is None else query.limit
        if not 1 <= limit <= most:
            raise InvalidRequest(
                f"'limit' must be between 1 and {most} for this 'bucket_width'.", param="limit"
            )
        if query.start < 0:
            raise InvalidRequest("'start_time' must not be negative.", param="start_time")
        if query.end <= query.start:
            raise InvalidRequest("'end_time' must be after 'start_time'.", param="end_time")
        begin = query.start - query.start % self.width
        end = query.end + -query.end % self.width
        self.start = begin if query.page is None else _position(query.page, range(begin, end, self.width))
        self.end = min(end, self.start + limit * self.width)
        self._more = self.end < end

    def page(self, found: Mapping[int, list[T]]) -> Page[T]:
        """The page, with what was found for each start of a bucket."""
        starts = range(self.start, self.end, self.width)
        data = [Bucket(start, start + self.width, found.get(start, [])) for start in starts]
        return Page(data, _cursor(self.end) if self._more else None)


def rows(
    connection: Connection,
    query: Query,
    buckets: Buckets,
    groups: Iterable[str],
    sums: Iterable[str],
    task: Task | None = None,
) -> Iterable[Row[Any]]:
    """The rollups of a page by `start` and `groups`, with `sums` of their columns.

    Raises `InvalidRequest` if there are more than `MOST_ROWS`.
    """
    keys = [_COLUMNS.start, *(GROUPS[name].label(name) for name in groups)]
    chosen: Any = select(*keys, *(func.sum(_COLUMNS[name]).label(name) for name in sums)).where(
        _COLUMNS.organization_id == query.organization_id,
        _COLUMNS.width == buckets.width,
        _COLUMNS.start >= buckets.start,
        _COLUMNS.start < buckets.end,
    )
    filters = (query.project_ids, query.user_ids, query.api_key_ids, query.models)
    for column, wanted in zip(GROUPS.values(), filters, strict=True):
        if wanted:
            chosen = chosen.where(column.in_(wanted))
    if task:
        chosen = chosen.where(_COLUMNS.task == task)
    found = connection.execute(chosen.group_by(*keys).order_by(*keys).limit(MOST_ROWS + 1)).all()
    if len(found) > MOST_ROWS:
        raise InvalidRequest(
            f"This page would have more than {MOST_ROWS} results. Ask for fewer buckets with a smaller "
            "'limit', for fewer groups in 'group_by', or for fewer of them with a filter.",
            param="limit",
        )
    return found


def _cursor(position: int) -> str:
    return f"page_{base64.urlsafe_b64encode(str(position).encode()).decode().rstrip('=')}"


def _position(page: str, allowed: range) -> int:
    text = page.removeprefix("page_")
    try:
        position = int(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, binascii.Error):
        position = -1
    if position not in allowed:
        raise InvalidRequest("'page' is not the 'next_page' of this query.", param="page")
    return position

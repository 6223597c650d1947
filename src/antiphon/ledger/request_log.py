"""The log of an organization's requests, newest first, a page at a time.

A page looks at a bounded part of the log, however few of its requests are wanted: what a filter seldom finds
may take several pages, some of them empty, and never a long time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, Select, or_, select, tuple_

from antiphon.errors import InvalidRequest
from antiphon.ledger.moments import Times
from antiphon.storage.tables import project, request

LIMIT = 50
LARGEST_LIMIT = 100
LOOKED_AT = 10_000
"""Requests that one page looks at, at most, and besides those of the second of the last."""

Outcome = Literal["open", "complete", "broken_off", "voided", "lost"]
OUTCOMES: tuple[Outcome, ...] = ("open", "complete", "broken_off", "voided", "lost")

_columns = request.c
_PLACE = (_columns.created_at, _columns.id)


class LogQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted: None is everything. `since` and `until` are unix seconds, the latter exclusive.

    `model` is a snapshot, or a name that was asked for. `after` is the `next` of the page before.
    """

    organization_id: str
    project_id: str | None = None
    key_id: str | None = None
    model: str | None = None
    outcome: Outcome | None = None
    since: int | None = None
    until: int | None = None
    after: str | None = None
    limit: int = LIMIT

    @property
    def filtered(self) -> bool:
        """Whether requests are looked at that are not wanted."""
        return any(value is not None for value in (self.key_id, self.model, self.outcome))


class LoggedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request: moments in unix seconds, money in nano-dollars.

    `model` is the name that it was asked for, None where that was not noted. `outcome` tells whether its
    answer was whole; one that was `broken_off` is charged for what was handed over, one that was `voided`
    costs nothing, one that was `lost` is charged to nobody. `reason` is the class of the error, or of what
    ended it.
    """

    id: str
    created_at: int
    ended_at: int | None
    project_id: str
    key_id: str
    member_id: str | None
    task: str
    endpoint: str | None
    model: str | None
    snapshot: str
    outcome: Outcome
    reason: str | None
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    seconds: int
    cost: int
    """What is charged for it."""
    reserved: int
    times: Times


class LogPage(msgspec.Struct, frozen=True):
    """Some requests, and what the next page is asked for with; None where there is nothing more."""

    data: list[LoggedRequest]
    next: str | None


def logged(connection: Connection, query: LogQuery) -> LogPage:
    """A page. Raises `InvalidRequest` for an `after` that is none, or a limit outside 1 to 100."""
    if not 1 <= query.limit <= LARGEST_LIMIT:
        raise InvalidRequest(f"'limit' must be between 1 and {LARGEST_LIMIT}.", param="limit")
    if not _printable(query) or not _owned(connection, query):
        return LogPage([], None)
    scope = _scope(connection, query)
    if not query.filtered:
        rows = connection.execute(_newest(select(request), scope).limit(query.limit + 1)).all()
        return _page(rows, query.limit, None)
    # By its second alone, which an index finds without the rows: those of that second are looked at as well.
    oldest = select(_columns.created_at).where(*scope).order_by(_columns.created_at.desc())
    far = connection.scalar(oldest.offset(LOOKED_AT).limit(1))
    looked_at = scope if far is None else [*scope, _columns.created_at >= far]
    rows = connection.execute(
        _newest(select(request), [*looked_at, *_wanted(query)]).limit(query.limit + 1)
    ).all()
    last = None
    if far is not None and len(rows) <= query.limit:
        first = select(_columns.id).where(*scope, _columns.created_at == far).order_by(_columns.id)
        last = connection.scalar(first.limit(1))
    return _page(rows, query.limit, last)


def found(connection: Connection, organization_id: str, request_id: str) -> LoggedRequest | None:
    """One request of an organization; None if it has none of that id."""
    if not request_id.isprintable():
        return None
    query = select(request).where(_columns.id == request_id, _columns.organization_id == organization_id)
    row = connection.execute(query).one_or_none()
    return None if row is None else _line(row)


def _printable(query: LogQuery) -> bool:
    """Whether anything can be found: PostgreSQL would not even take other text to compare with."""
    named = (query.organization_id, query.project_id, query.key_id, query.model)
    return all(name is None or name.isprintable() for name in named)


def _owned(connection: Connection, query: LogQuery) -> bool:
    """Whether the project, if one is named, is the organization's."""
    if query.project_id is None:
        return True
    owner = select(project.c.organization_id).where(project.c.id == query.project_id)
    return connection.scalar(owner) == query.organization_id


def _scope(connection: Connection, query: LogQuery) -> list[ColumnElement[bool]]:
    """The part of the log that is looked at: what an index finds.

    The organization is not compared where a project is named, lest a database takes the wrong index.
    """
    if query.project_id is not None:
        scope = [_columns.project_id == query.project_id]
    else:
        scope = [_columns.organization_id == query.organization_id]
    if query.since is not None:
        scope.append(_columns.created_at >= query.since)
    if query.until is not None:
        scope.append(_columns.created_at < query.until)
    if query.after is not None:
        at = _cursor(connection, query.organization_id, query.after)
        scope += [_columns.created_at <= at, tuple_(*_PLACE) < tuple_(at, query.after)]
    return scope


def _cursor(connection: Connection, organization_id: str, after: str) -> int:
    """When the request began after which a page begins."""
    row = found(connection, organization_id, after)
    if row is None:
        raise InvalidRequest("'after' is not the 'next' of a page of this log.", param="after")
    return row.created_at


def _wanted(query: LogQuery) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = []
    if query.key_id is not None:
        wanted.append(_columns.key_id == query.key_id)
    if query.model is not None:
        wanted.append(or_(_columns.snapshot == query.model, _columns.model == query.model))
    if query.outcome in ("complete", "broken_off"):
        whole = _columns.reason.is_(None) if query.outcome == "complete" else _columns.reason.is_not(None)
        wanted += [_columns.status == "settled", whole]
    elif query.outcome is not None:
        wanted.append(_columns.status == query.outcome)
    return wanted


def _newest(query: Select[Any], scope: Sequence[ColumnElement[bool]]) -> Select[Any]:
    return query.where(*scope).order_by(_columns.created_at.desc(), _columns.id.desc())


def _page(rows: Sequence[Row[Any]], limit: int, last: str | None) -> LogPage:
    """So many of the rows; `last` is the last that was looked at, if there may be more."""
    shown = rows[:limit]
    after = shown[-1].id if len(rows) > limit else last
    return LogPage([_line(row) for row in shown], after)


def _line(row: Row[Any]) -> LoggedRequest:
    return LoggedRequest(
        id=row.id,
        created_at=row.created_at,
        ended_at=row.ended_at,
        project_id=row.project_id,
        key_id=row.key_id,
        member_id=row.member_id,
        task=row.task,
        endpoint=row.endpoint,
        model=row.model,
        snapshot=row.snapshot,
        outcome=_outcome(row.status, row.reason),
        reason=row.reason,
        input_tokens=row.input_tokens,
        cached_tokens=row.cached_tokens,
        output_tokens=row.output_tokens,
        seconds=row.seconds,
        cost=row.cost if row.status == "settled" else 0,
        reserved=row.reserved,
        times=Times(row.queued_ms, row.engine_ms, row.first_ms, row.ended_ms),
    )


def _outcome(status: Any, reason: str | None) -> Outcome:
    if status == "settled":
        return "complete" if reason is None else "broken_off"
    outcome: Outcome = status
    return outcome

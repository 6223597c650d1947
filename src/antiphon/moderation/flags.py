"""Flags in the database: raised, listed, appealed against, resolved. What they refer to is never in them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection, Select, select, update

from antiphon.errors import InvalidRequest, NotFound
from antiphon.moderation.policy import Action, Found
from antiphon.storage import sql
from antiphon.storage.moderation_tables import flag

Outcome = Literal["upheld", "dismissed"]
Status = Literal["open", "appealed", "resolved"]

DAY = 86_400
MOST_WORDS = 4000
"""Characters of an appeal, or of its answer."""
_MOST_COUNTED = 2000


class Flag(msgspec.Struct, frozen=True, kw_only=True):
    """`category` and `score` are those of the finding that decided. Times are unix seconds."""

    id: str
    organization_id: str
    project_id: str | None = None
    key_id: str | None = None
    request_id: str | None = None
    snapshot: str = ""
    category: str
    score: float
    findings: list[Found]
    action: Action
    detail: str = ""
    created_at: int
    appeal: str | None = None
    appealed_at: int | None = None
    outcome: Outcome | None = None
    answer: str | None = None
    resolved_at: int | None = None

    @property
    def status(self) -> Status:
        if self.resolved_at is not None:
            return "resolved"
        return "open" if self.appealed_at is None else "appealed"


_COLUMNS = [flag.c[name] for name in Flag.__struct_fields__]


def id_of(at: float, *about: str) -> str:
    """The id of the flag about something at a moment (unix seconds): the same one, however often it is
    raised."""
    digest = hashlib.sha256("\0".join(about).encode()).hexdigest()
    return f"flag_{int(at * 1_000_000):014x}{digest[:16]}"


def add(connection: Connection, raised: Flag) -> bool:
    """Write a flag, to be told to the webhook unless it is a mere note. False if this id is there already."""
    row = {name: getattr(raised, name) for name in Flag.__struct_fields__}
    row |= {
        "score": round(raised.score * 1000),
        "findings": msgspec.json.encode(raised.findings).decode(),
        "attempts": 0,
        "next_at": None if raised.action == "note" else raised.created_at,
    }
    statement = sql.insert(connection, flag).values(row).on_conflict_do_nothing()
    return bool(connection.execute(statement).rowcount)


def scores(connection: Connection, organization_id: str, now: int) -> dict[str, list[float]]:
    """Of the flags of a day, those that were dismissed left out, the highest score of each category, by
    category."""
    query = (
        select(flag.c.findings)
        .where(flag.c.organization_id == organization_id, flag.c.created_at > now - DAY)
        .where(flag.c.outcome.is_distinct_from("dismissed"))
        .limit(_MOST_COUNTED)
    )
    found: dict[str, list[float]] = {}
    for findings in connection.scalars(query):
        highest: dict[str, float] = {}
        for one in msgspec.json.decode(findings, type=list[Found]):
            highest[one.category] = max(one.score, highest.get(one.category, 0.0))
        for category, score in highest.items():
            found.setdefault(category, []).append(score)
    return found


def listed(
    connection: Connection,
    organization_id: str | None,
    *,
    status: Status | None = None,
    category: str | None = None,
    after: str | None = None,
    before: str | None = None,
    limit: int = 20,
) -> tuple[list[Flag], bool]:
    """The newest first, of one organization or of all: those that follow `after`, or that come just before
    `before`; and whether there are more on that way."""
    backwards = before is not None and after is None
    query = select(*_COLUMNS).order_by(flag.c.id.asc() if backwards else flag.c.id.desc()).limit(limit + 1)
    if organization_id is not None:
        query = query.where(flag.c.organization_id == organization_id)
    if category is not None:
        query = query.where(flag.c.category == category)
    if after is not None:
        query = query.where(flag.c.id < after)
    if before is not None:
        query = query.where(flag.c.id > before)
    rows = connection.execute(_of_status(query, status)).all()
    found = [_flag(row) for row in rows[:limit]]
    return found[::-1] if backwards else found, len(rows) > limit


def get(connection: Connection, organization_id: str | None, flag_id: str) -> Flag:
    """Raises `NotFound`, in the same words for another organization's."""
    query = select(*_COLUMNS).where(flag.c.id == flag_id)
    if organization_id is not None:
        query = query.where(flag.c.organization_id == organization_id)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound("There is no such flag.")
    return _flag(row)


def appeal(
    connection: Connection, organization_id: str, flag_id: str, text: str, *, by: str | None, now: int
) -> Flag:
    """Record an owner's words, once. Raises `InvalidRequest` where that was done, or nothing is left to
    decide."""
    _check("text", text)
    found = get(connection, organization_id, flag_id)
    if found.status != "open":
        raise InvalidRequest(f"The flag is {found.status} already.", param="flag_id")
    told = {"attempts": 0, "next_at": now}  # the webhook, again
    _change(connection, found, {"appeal": text, "appealed_at": now, "appealed_by": by, **told})
    return get(connection, organization_id, flag_id)


def resolve(connection: Connection, flag_id: str, outcome: Outcome, answer: str, *, now: int) -> Flag:
    """Decide, once. Raises `InvalidRequest` where that was done, or an appeal would go without an answer."""
    found = get(connection, None, flag_id)
    if found.status == "resolved":
        raise InvalidRequest("The flag is resolved already.", param="flag_id")
    if found.appeal is not None and not answer:
        raise InvalidRequest("An appeal needs an answer.", param="answer")
    if answer:
        _check("answer", answer)
    _change(connection, found, {"outcome": outcome, "answer": answer or None, "resolved_at": now})
    return get(connection, None, flag_id)


def _change(connection: Connection, found: Flag, values: dict[str, Any]) -> None:
    same = update(flag).where(flag.c.id == found.id, flag.c.resolved_at.is_(None))
    if found.appealed_at is None:
        same = same.where(flag.c.appealed_at.is_(None))
    if not connection.execute(same.values(values)).rowcount:
        raise InvalidRequest("Somebody else has just changed the flag.", param="flag_id")


def _of_status(query: Select[Any], status: Status | None) -> Select[Any]:
    if status == "resolved":
        return query.where(flag.c.resolved_at.is_not(None))
    if status == "appealed":
        return query.where(flag.c.resolved_at.is_(None), flag.c.appealed_at.is_not(None))
    if status == "open":
        return query.where(flag.c.resolved_at.is_(None), flag.c.appealed_at.is_(None))
    return query


def _flag(row: Any) -> Flag:
    findings: Sequence[Found] = msgspec.json.decode(row.findings, type=list[Found])
    return Flag(**{**row._mapping, "score": row.score / 1000, "findings": findings})


def _check(name: str, text: str) -> None:
    if not 1 <= len(text) <= MOST_WORDS or "\0" in text:
        raise InvalidRequest(f"'{name}' must be 1 to {MOST_WORDS} characters.", param=name)

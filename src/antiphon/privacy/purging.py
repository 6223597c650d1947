"""The parts of a purge, each a transaction that may be done again: plain functions, and what they count."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Select, delete, func, insert, select, update

from antiphon.privacy import receipts
from antiphon.privacy.days import day_of, end_of
from antiphon.privacy.receipts import NO_POLICY, Count
from antiphon.storage.content_tables import content, content_cut, content_key, content_key_end
from antiphon.storage.sql import chunks, insert_missing

MOST = 500
"""Rows of one transaction: others write between two."""

UNREADABLE = "unreadable"
"""Why something is deleted that was to be moved, and that no key opens."""
_COUNTED = [
    content.c[name] for name in ("id", "request_id", "organization_id", "kind", "cause", "days", "recording")
]

Derived = Callable[[Connection, Sequence[str]], None]
"""Deletes what was made of the content of requests, given their ids (`req_…`)."""


class Moved(msgspec.Struct, frozen=True):
    """A row as it is under another key: the columns that change, and what it was read as."""

    before: Any
    columns: dict[str, Any]


def expired(connection: Connection, now: int, *, without: bool = False) -> list[Any]:
    """Rows that are to be gone, the longest overdue first: their `id` and `recording`, of `MOST` at most.

    `without`: as long as recordings cannot be deleted. Then one stays that knows of a recording which a key
    still opens that stays, too; of others the sweep deletes the recordings, when their day is over.
    """
    query = select(content.c.id, content.c.recording).where(content.c.expires_at <= now)
    if without:
        over = content_key.c.current.is_(None) | (content_key.c.day < day_of(now))
        query = query.join(content_key, content.c.sealed_with == content_key.c.id)
        query = query.where(content.c.recording.is_(None) | over)
    return list(connection.execute(query.order_by(content.c.expires_at).limit(MOST)))


def delete_rows(connection: Connection, ids: Collection[str], derived: Sequence[Derived], now: int) -> int:
    """Delete rows that have expired, by their ids, with what was made of them, and count them."""
    mine = content.c.id.in_(list(ids)) & (content.c.expires_at <= now)
    rows = connection.execute(select(*_COUNTED).where(mine)).all()
    _clear(connection, rows, derived)
    connection.execute(delete(content).where(mine))
    _count(connection, rows, [(row.cause, row.days) for row in rows], now)
    return len(rows)


def give_up(connection: Connection, ids: Collection[str], derived: Sequence[Derived], now: int) -> None:
    """Delete rows under retired keys that nobody can read any more, by their ids, and count them."""
    mine = content.c.id.in_(list(ids)) & content.c.sealed_with.in_(_retired())
    rows = connection.execute(select(*_COUNTED).where(mine)).all()
    _clear(connection, rows, derived)
    connection.execute(delete(content).where(mine))
    _count(connection, rows, [(UNREADABLE, NO_POLICY)] * len(rows), now)


def left_under_retired(connection: Connection, now: int, after: str, most: int) -> list[Any]:
    """Rows under keys that are to be destroyed before their day, of ids after this one; `retired_at`: since
    when that is so. Not those that have expired: they are deleted."""
    query = select(content, content_key.c.retired_at).join(
        content_key, content.c.sealed_with == content_key.c.id
    )
    query = query.where(content_key.c.current.is_(None), content.c.expires_at > now, content.c.id > after)
    return list(connection.execute(query.order_by(content.c.id).limit(most)))


def move_rows(connection: Connection, moved: Sequence[Moved]) -> list[str]:
    """Write rows as they are under other keys; the ids of those that were there, and as they had been."""
    done = []
    for one in moved:
        was = one.before
        same = (
            content.c.id == was.id,
            content.c.sealed_with == was.sealed_with,
            content.c.expires_at == was.expires_at,  # erased meanwhile: the new key would outlive that
            content.c.metadata.is_not_distinct_from(was.metadata),
        )
        if connection.execute(update(content).where(*same).values(one.columns)).rowcount:
            done.append(was.id)
    return done


def forget(connection: Connection, keys: Collection[str]) -> tuple[int, list[str]]:
    """Delete what is under keys that there are no more, with their names: how many rows, and what their
    recordings are called."""
    number = 0
    recordings: list[str | None] = []
    for some in chunks(keys):
        mine = content.c.sealed_with.in_(some)
        recorded = select(content.c.recording).where(mine, content.c.recording.is_not(None))
        recordings += connection.scalars(recorded).all()
        number += connection.execute(delete(content).where(mine)).rowcount
        connection.execute(delete(content_key).where(content_key.c.id.in_(some)))
    return number, [name for name in recordings if name]


def end_keys(connection: Connection, now: int) -> None:
    """Note the keys that nothing is under, and that nothing will be, to be destroyed; count them."""
    over = content_key.c.current.is_(None) | (content_key.c.day < day_of(now))
    used = select(content.c.id).where(content.c.sealed_with == content_key.c.id).exists()
    query = select(content_key).where(over, ~used).limit(MOST)
    while rows := connection.execute(query).all():
        end = [{"id": row.id, "ended_at": now} for row in rows]
        connection.execute(insert(content_key_end), end)
        connection.execute(delete(content_key).where(content_key.c.id.in_([row.id for row in rows])))
        causes = [(row.organization_id, "expired" if row.day < day_of(now) else "retired") for row in rows]
        counted = [Count(organization, cause, NO_POLICY, "key") for organization, cause in causes]
        receipts.count(connection, counted, now)


def end_nameless(connection: Connection, ids: Collection[str], now: int) -> None:
    """Note keys that no content ever named, if that is so."""
    for some in chunks(ids):
        named = set(connection.scalars(select(content_key.c.id).where(content_key.c.id.in_(some))))
        insert_missing(
            connection, content_key_end, [{"id": i, "ended_at": now} for i in some if i not in named]
        )


def ended(connection: Connection) -> list[str]:
    """The ids of keys that are to be destroyed."""
    return list(connection.scalars(select(content_key_end.c.id)))


def destroyed(connection: Connection, ids: Collection[str]) -> None:
    """These are gone."""
    for some in chunks(ids):
        connection.execute(delete(content_key_end).where(content_key_end.c.id.in_(some)))


def late(connection: Connection, now: int) -> int:
    """For how many seconds something should have been gone that is not."""
    since = [connection.scalar(select(func.min(content.c.expires_at)))]
    since.append(connection.scalar(select(func.min(content_key_end.c.ended_at))))
    since.append(connection.scalar(select(func.min(content_key.c.retired_at))))
    since.append(connection.scalar(select(func.min(content_cut.c.noted_at))))
    day = connection.scalar(select(func.min(content_key.c.day)))
    since.append(end_of(day) if day else None)
    return max([0, *(now - int(one) for one in since if one is not None)])


def _retired() -> Select[tuple[str]]:
    return select(content_key.c.id).where(content_key.c.current.is_(None))


def _clear(connection: Connection, rows: Sequence[Any], derived: Sequence[Derived]) -> None:
    for clear in derived:
        clear(connection, [row.request_id for row in rows])


def _count(connection: Connection, rows: Sequence[Any], why: Sequence[tuple[str, int]], now: int) -> None:
    """`why`: for each row, its cause and the days of the policy."""
    counted = []
    for row, (cause, days) in zip(rows, why, strict=True):
        counted.append(Count(row.organization_id, cause, days, row.kind))
        if row.recording is not None:
            counted.append(Count(row.organization_id, cause, days, "recording"))
    receipts.count(connection, counted, now)

"""What is to expire earlier: noted at once, done in batches, and followed meanwhile by whoever reads.

A note is a row of `content_cut`, written with the change that asks for it. The purge does what it says, some
hundred rows in a transaction, and goes on where one that was killed stopped. All here are
functions over a transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, not_, select, update

from antiphon.privacy.days import SECONDS
from antiphon.storage.content_tables import content, content_cut, content_key
from antiphon.storage.ids import ordered_id

MOST = 500
"""Rows of one transaction: others write between two."""
MOST_BYTES = 32 * 1024 * 1024
"""And what is in them, about: a row that changes is written anew."""
NO_DAYS = -1
"""All expires when it was noted, however old it is."""


class Cut(msgspec.Struct, frozen=True, kw_only=True):
    """What there was of an organization, or of one of its projects, is kept for `days` after its request.

    Of rows up to the id `last`, and done up to the id `after`. `but` are projects that it leaves alone;
    `stored`: stored completions, too.
    """

    id: str
    organization_id: str
    project_id: str | None
    but: list[str]
    stored: bool
    days: int
    cause: str
    noted_at: int
    last: str
    after: str


def note(
    connection: Connection,
    organization_id: str,
    project_id: str | None,
    days: int,
    cause: str,
    now: float,
    *,
    but: Collection[str] = (),
    stored: bool = True,
) -> None:
    """Have what there is expire so many days after its request, and not before `now` (unix seconds); nothing
    ever expires later by it."""
    last = connection.scalar(
        select(func.max(content.c.id)).where(content.c.organization_id == organization_id)
    )
    if last is None:
        return
    made = Cut(
        id=ordered_id("cut_", now),
        organization_id=organization_id,
        project_id=project_id,
        but=sorted(but),
        stored=stored,
        days=days,
        cause=cause,
        noted_at=int(now),
        last=last,
        after="",
    )
    there = _noted(connection, organization_id)
    if any(_covers(one, made) for one in there):
        return
    over = [one for one in there if _covers(made, one)]
    connection.execute(delete(content_cut).where(content_cut.c.id.in_([one.id for one in over])))
    # It is due since the first of those that it stands for.
    made = msgspec.structs.replace(made, noted_at=min([made.noted_at, *(one.noted_at for one in over)]))
    row = msgspec.structs.asdict(made) | {"but": msgspec.json.encode(made.but).decode()}
    connection.execute(insert(content_cut).values(row))


def live(connection: Connection, organization_id: str, now: float) -> list[ColumnElement[bool]]:
    """The conditions under which rows of an organization may be read: whose they are, that they have not
    expired, and will not have by what is noted. For the same transaction."""
    cuts = _noted(connection, organization_id)
    mine = [content.c.organization_id == organization_id, content.c.expires_at > int(now)]
    return mine + [not_(_over(cut, now)) for cut in cuts]


def step(connection: Connection, now: float) -> bool:
    """Do a part of what is noted, the oldest first; False if there was nothing to do.

    Nothing new is written from then on under the keys of what expires earlier.
    """
    row = connection.execute(select(content_cut).order_by(content_cut.c.id).limit(1)).first()
    if row is None:
        return False
    cut = _cut(row)
    rows, done = _window(connection, cut)
    concerned = [one for one in rows if _concerns(cut, one)]
    _shorten(connection, cut, concerned)
    names = {one.sealed_with for one in concerned}
    keys = content_key.c.id.in_(names) & content_key.c.current
    connection.execute(update(content_key).where(keys).values(current=None, retired_at=int(now)))
    mine = content_cut.c.id == cut.id
    if done:
        connection.execute(delete(content_cut).where(mine))
    else:
        connection.execute(update(content_cut).where(mine).values(after=rows[-1].id))
    return True


def _noted(connection: Connection, organization_id: str) -> list[Cut]:
    query = select(content_cut).where(content_cut.c.organization_id == organization_id)
    return [_cut(row) for row in connection.execute(query.order_by(content_cut.c.id))]


def _cut(row: Any) -> Cut:
    return Cut(**(dict(row._mapping) | {"but": msgspec.json.decode(row.but, type=list[str])}))


def _covers(one: Cut, other: Cut) -> bool:
    """Whether nothing is left for the other to do where one is done."""
    return (
        one.project_id == other.project_id
        and one.days <= other.days
        and one.last >= other.last
        and (one.stored or not other.stored)
        and set(one.but) <= set(other.but)
    )


def _over(cut: Cut, now: float) -> ColumnElement[bool]:
    """Whether a row has expired by a cut."""
    which = [content.c.id <= cut.last]
    if cut.project_id is not None:
        which.append(content.c.project_id == cut.project_id)
    if cut.but:
        which.append(content.c.project_id.not_in(cut.but))
    if not cut.stored:
        which.append(content.c.stored.is_(False))
    if cut.days != NO_DAYS:
        which.append(content.c.created_at <= int(now) - cut.days * SECONDS)
    return and_(*which)


def _window(connection: Connection, cut: Cut) -> tuple[list[Any], bool]:
    """The rows to look at next, and whether they are the last."""
    names = ("id", "project_id", "created_at", "expires_at", "sealed_with", "stored")
    columns = [content.c[name] for name in names]
    query = select(*columns, func.length(content.c.payload).label("size"))
    query = query.where(content.c.organization_id == cut.organization_id)
    query = query.where(content.c.id > cut.after, content.c.id <= cut.last).order_by(content.c.id)
    found: list[Any] = []
    size = 0
    for row in connection.execute(query.limit(MOST)).all():
        if found and size + row.size > MOST_BYTES:
            return found, False
        found.append(row)
        size += row.size
    return found, len(found) < MOST


def _concerns(cut: Cut, row: Any) -> bool:
    return (
        cut.project_id in (None, row.project_id)
        and row.project_id not in cut.but
        and (cut.stored or not row.stored)
        and row.expires_at > _end(cut, row)
    )


def _end(cut: Cut, row: Any) -> int:
    if cut.days == NO_DAYS:
        return cut.noted_at
    return max(int(row.created_at) + cut.days * SECONDS, cut.noted_at)


def _shorten(connection: Connection, cut: Cut, rows: Sequence[Any]) -> None:
    # Whoever deletes single rows, or keeps them from others, may have been first.
    earlier = content.c.created_at + cut.days * SECONDS
    for now in (True, False):
        end = cut.noted_at if now else earlier
        ids = [row.id for row in rows if (_end(cut, row) == cut.noted_at) is now]
        mine = update(content).where(content.c.id.in_(ids), content.c.expires_at > end)
        connection.execute(mine.values(expires_at=end, cause=cut.cause, days=cut.days))

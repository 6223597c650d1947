"""Makes content expire earlier: plain functions over a transaction, for whoever changes a policy or erases.

What expires is not read any more from that moment on. The purge deletes it, moves what stays behind under the
same keys to others, and destroys the keys, within minutes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from sqlalchemy import ColumnElement, Connection, select, update

from antiphon.privacy import erased
from antiphon.privacy.days import SECONDS
from antiphon.storage.content_tables import content, content_key
from antiphon.storage.sql import chunks


def shorten(
    connection: Connection,
    organization_id: str,
    project_id: str | None,
    days: int,
    now: float,
    *,
    but: Collection[str] = (),
    stored: bool = False,
) -> int:
    """Keep what there is of an organization, or of one of its projects, for `days` at most; how many rows now
    expire earlier. Never any of them later: a policy that is longer is for what is kept from then on.

    What runs or waits to be written meanwhile comes with the policy that it began with: do it again a minute
    later. `but` are projects that have a policy of their own. `stored`: stored completions, too.
    """
    which = [content.c.organization_id == organization_id]
    if project_id is not None:
        which.append(content.c.project_id == project_id)
    if but:
        which.append(content.c.project_id.not_in(list(but)))
    if not stored:
        which.append(content.c.stored.is_(False))
    limit = content.c.created_at + days * SECONDS
    _retire(connection, *which, content.c.expires_at > limit, now=now)
    at_once = update(content).where(*which, limit <= int(now), content.c.expires_at > int(now))
    gone = connection.execute(at_once.values(expires_at=int(now), cause="shortened", days=days)).rowcount
    earlier = update(content).where(*which, limit > int(now), content.c.expires_at > limit)
    return gone + connection.execute(earlier.values(expires_at=limit, cause="shortened", days=days)).rowcount


def erase(connection: Connection, organization_id: str, now: float, project_id: str | None = None) -> int:
    """Have all that is kept of an organization, or of one of its projects, expire now, and what is still on
    its way there as soon as it is written (`erased`); how many rows.

    All keys of the organization are retired: backups hold what was deleted before, and these open it.
    """
    erased.note(connection, project_id or organization_id, now)
    mine = (content_key.c.organization_id == organization_id) & content_key.c.current
    connection.execute(update(content_key).where(mine).values(current=None, retired_at=int(now)))
    which = [content.c.organization_id == organization_id, content.c.expires_at > int(now)]
    if project_id is not None:
        which.append(content.c.project_id == project_id)
    now_ = {"expires_at": int(now), "cause": "erased", "days": -1}
    return connection.execute(update(content).where(*which).values(now_)).rowcount


def delete(connection: Connection, organization_id: str, ids: Collection[str], now: float) -> int:
    """Have single rows of an organization, by their ids, expire now; how many.

    Their key is not destroyed before its day: until then backups hold what it opens.
    """
    gone = 0
    for some in chunks(ids):
        mine = content.c.id.in_(some) & (content.c.organization_id == organization_id)
        live = update(content).where(mine, content.c.expires_at > int(now))
        gone += connection.execute(live.values(expires_at=int(now), cause="deleted", days=-1)).rowcount
    return gone


def _retire(connection: Connection, *which: ColumnElement[bool], now: float) -> None:
    """Have nothing new written under the keys of these rows."""
    for some in chunks(list(_keys(connection, *which))):
        mine = content_key.c.id.in_(some) & content_key.c.current
        connection.execute(update(content_key).where(mine).values(current=None, retired_at=int(now)))


def _keys(connection: Connection, *which: ColumnElement[bool]) -> Iterator[str]:
    yield from connection.scalars(select(content.c.sealed_with).where(*which).distinct())

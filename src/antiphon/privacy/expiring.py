"""Makes content expire earlier: plain functions over a transaction, for whoever changes a policy or erases.

What expires is not read any more from that moment on. It is noted at once, however much it is (`cuts`). The
purge does what is noted, deletes what expired, moves what stays behind under the same keys to others, and
destroys the keys, within minutes.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, func, select, update

from antiphon.privacy import cuts, erased
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
) -> None:
    """Keep what there is of an organization, or of one of its projects, for `days` at most. Never any of it
    longer than it was to be: a policy that is longer is for what is kept from then on.

    `but` are projects that have a policy of their own. `stored`: stored completions, too.
    """
    cuts.note(connection, organization_id, project_id, days, "shortened", now, but=but, stored=stored)


def erase(connection: Connection, organization_id: str, now: float, project_id: str | None = None) -> int:
    """Have all that is kept of an organization, or of one of its projects, expire now, and what is still on
    its way there as soon as it is written (`erased`); how many rows.

    All keys of the organization are retired: backups hold what was deleted before, and these open it.
    """
    erased.note(connection, project_id or organization_id, now)
    mine = (content_key.c.organization_id == organization_id) & content_key.c.current
    connection.execute(update(content_key).where(mine).values(current=None, retired_at=int(now)))
    which = cuts.live(connection, organization_id, now)
    if project_id is not None:
        which.append(content.c.project_id == project_id)
    gone = connection.scalar(select(func.count()).select_from(content).where(*which)) or 0
    cuts.note(connection, organization_id, project_id, cuts.NO_DAYS, "erased", now)
    return gone


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

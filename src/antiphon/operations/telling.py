"""Tells the operator's webhook what becomes of names and snapshots, and who uses them: each thing once.

What was told stands in the database, so any number of machines over it share the work. A message that is
under way has a lease: if its sender dies, another one sends it again, with the same id, by which the receiver
knows it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, NoReturn

import msgspec
from sqlalchemy import Connection, delete, select, update

from antiphon.catalogue.catalogue import Catalogue
from antiphon.errors import AntiphonError
from antiphon.ledger.users import Project, projects
from antiphon.operations.notices import DAY, Notice, notices
from antiphon.operations.webhook import Webhook
from antiphon.storage.database import Database
from antiphon.storage.ids import ordered_id
from antiphon.storage.sql import insert_missing
from antiphon.storage.tables import notice

USED_DAYS = 30
"""Whoever used a snapshot in so many days is named."""
MOST_PROJECTS = 1000
"""Named in one message; of more, how many."""
DELAYS = (5, 30, 120, 600, 3600, 10_800, 21_600, 43_200)
"""Seconds between the tries of a message; it is given up after the last."""
LEASE_SECONDS = 60
CALM_SECONDS = 60
"""For so long a change must be missing before it is called off: a file may be written in several steps."""
_LOOK = 5.0

log = logging.getLogger(__name__)


class Teller:
    """`catalogue` gives the one of this moment, `clock` unix seconds; a change is near `days` before it.

    `name` is this data folder's among those over the database. What it announced is called off by it alone:
    the models.toml of another may never have held it.
    """

    def __init__(
        self,
        database: Database,
        catalogue: Callable[[], Catalogue],
        webhook: Webhook,
        days: int,
        name: str,
        clock: Callable[[], float],
    ) -> None:
        self._database = database
        self._catalogue = catalogue
        self._webhook = webhook
        self._days = days
        self._name = name
        self._clock = clock
        self._missing: dict[str, int] = {}
        """The ids of what was announced and is not to come any more, each with the moment from which on."""

    async def run(self) -> NoReturn:
        """Until cancelled. What the database does not take now is tried again; a complaint is logged once."""
        complaint = ""
        while True:
            try:
                await self.look()
                complaint = ""
            except AntiphonError as problem:
                if str(problem) != complaint:
                    complaint = str(problem)
                    log.warning("the webhook is told nothing: %s", problem)
            await asyncio.sleep(_LOOK)

    async def look(self) -> None:
        """Note what is to be told, and tell what is due."""
        now = int(self._clock())
        there = notices(self._catalogue(), self._days, now)
        async with self._database.connect() as connection:
            rows = (await connection.execute(_NOTED)).all()
        new = _new(rows, there, self._days)
        missing = _missing(rows, there, self._name, now)
        self._missing = {id: self._missing.get(id, now) for id in missing}
        gone = [id for id, since in self._missing.items() if now - since >= CALM_SECONDS]
        if new or gone:
            note = partial(_note, new=new, gone=gone, name=self._name, now=now)
            async with self._database.begin() as connection:
                await connection.run_sync(note)
        async with self._database.connect() as connection:
            due = (await connection.execute(_due(now))).all()
        for row in due:
            await self._tell(row)

    async def _tell(self, row: Any) -> None:
        now = int(self._clock())
        lease = {"attempts": row.attempts + 1, "next_at": now + LEASE_SECONDS}
        mine = update(notice).where(notice.c.id == row.id, notice.c.next_at == row.next_at)
        async with self._database.begin() as connection:
            if not (await connection.execute(mine.values(lease))).rowcount:
                return  # another one tells it
        about = msgspec.json.decode(row.about, type=Notice)
        since = now - USED_DAYS * DAY
        async with self._database.connect() as connection:
            used = await connection.run_sync(partial(projects, snapshot=about.snapshot, since=since))
        failure = await self._webhook.post(row.id, now, body(about, row.created_at, used))
        over = {"sent_at": now} if not failure else _later(row.attempts, now)
        async with self._database.begin() as connection:
            await connection.execute(update(notice).where(notice.c.id == row.id).values(over))
        if not failure:
            log.info("the webhook was told: %s of %s", about.type, about.name)
        elif over["next_at"] is None:
            log.error("the webhook was not told %s of %s: %s; given up", about.type, about.name, failure)
        else:
            log.warning("the webhook was not told %s of %s: %s", about.type, about.name, failure)


def body(about: Notice, created_at: int, used: Sequence[Project]) -> bytes:
    """The message as JSON."""
    named = [
        msgspec.structs.asdict(one) | {"last_used_at": _day(one.last_at)} for one in used[:MOST_PROJECTS]
    ]
    for one in named:
        del one["last_at"]
    name = "alias" if about.matter == "model.switch" else "model"
    instead = "to" if about.matter == "model.switch" else "replacement"
    data: dict[str, Any] = {name: about.name}
    if about.matter == "model.switch":
        data["from"] = about.snapshot
    data |= {instead: about.to, "at": _moment(about.at), "notes": about.notes}
    data |= {"users": named, "users_left_out": len(used) - len(named), "users_of_days": USED_DAYS}
    return msgspec.json.encode({"type": about.type, "timestamp": _moment(created_at), "data": data})


_NOTED = select(notice.c.id, notice.c.key, notice.c.at, notice.c.created_at, notice.c.noted_by)


def _new(rows: Sequence[Any], there: Sequence[Notice], days: int) -> list[Notice]:
    """What was never noted."""
    noted = {row.key: row.created_at for row in rows}
    return [one for one in there if one.key not in noted and _worth_telling(one, noted, days)]


def _missing(rows: Sequence[Any], there: Sequence[Notice], name: str, now: int) -> list[str]:
    """The ids of what `name` announced and is not to come any more."""
    keys = {one.key for one in there}
    mine = [row for row in rows if row.noted_by == name and row.at > now]
    return [row.id for row in mine if row.key not in keys and _is_of(row.key, "announced")]


def _worth_telling(one: Notice, noted: dict[str, int], days: int) -> bool:
    """That a change is near is told to those who heard of it earlier."""
    if one.event != "near":
        return True
    announced = noted.get(msgspec.structs.replace(one, event="announced").key)
    return announced is not None and announced < one.at - days * DAY


def _note(connection: Connection, new: Sequence[Notice], gone: Sequence[str], name: str, now: int) -> None:
    # What is noted at once is told in the order in which it comes, or came.
    ordered = enumerate(sorted(new, key=lambda one: one.at))
    insert_missing(connection, notice, [_row(one, one.key, name, now, place) for place, one in ordered])
    for id in gone:
        found = connection.execute(
            select(notice.c.about, notice.c.sent_at).where(notice.c.id == id)
        ).one_or_none()
        if found is None or not connection.execute(delete(notice).where(notice.c.id == id)).rowcount:
            continue  # another one notes it
        about = msgspec.json.decode(found.about, type=Notice)
        near = msgspec.structs.replace(about, event="near")
        connection.execute(delete(notice).where(notice.c.key == near.key))
        if found.sent_at is not None:
            # It may be announced and called off again: its key is its own.
            called_off = msgspec.structs.replace(about, event="cancelled")
            insert_missing(connection, notice, [_row(called_off, f"{called_off.key}/{id}", name, now)])


def _row(one: Notice, key: str, name: str, now: int, place: int = 0) -> dict[str, Any]:
    return {
        "id": ordered_id("msg_", now + place / 1_000_000),
        "key": key,
        "at": one.at,
        "about": msgspec.json.encode(one).decode(),
        "created_at": now,
        "noted_by": name,
        "attempts": 0,
        "next_at": now,
        "sent_at": None,
    }


def _due(now: int) -> Any:
    """What nobody is telling, and somebody should, the oldest first."""
    return (
        select(notice.c.id, notice.c.about, notice.c.created_at, notice.c.attempts, notice.c.next_at)
        .where(notice.c.sent_at.is_(None), notice.c.next_at <= now)
        .order_by(notice.c.id)
    )


def _later(attempts: int, now: int) -> dict[str, int | None]:
    """When a message that failed is tried again, `attempts` before this one; never, after the last."""
    return {"next_at": now + DELAYS[attempts] if attempts < len(DELAYS) else None}


def _is_of(key: str, event: str) -> bool:
    return key.partition("/")[0].endswith(f".{event}")


def _moment(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _day(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"

"""What is kept of requests: written in batches, encrypted, and read again by whoever may."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, insert, select, update

from antiphon.errors import Unavailable
from antiphon.privacy import erased, policies, recordings
from antiphon.privacy.days import day_of
from antiphon.privacy.expiring import shorten
from antiphon.privacy.keys import Key, Keys
from antiphon.privacy.places import Place
from antiphon.privacy.sealing import bound, seal, unseal
from antiphon.storage.content_tables import content, content_key
from antiphon.storage.database import Database
from antiphon.storage.sql import chunks, write

_TRIES = 3
_INSERT = insert(content)


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One request and its answer, to be kept. Times in unix seconds."""

    id: str
    request_id: str
    organization_id: str
    project_id: str
    key_id: str
    kind: str
    snapshot: str
    created_at: int
    expires_at: int
    days: int
    whole: bool
    asked: bytes
    answered: bytes
    stored: bool = False
    completion_id: str | None = None
    metadata: Mapping[str, str] | None = None
    recording: Path | None = None
    """A file that is the keeper's own, as it was uploaded."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What was kept, as it can be read. `row` has the columns of `content`."""

    row: Any
    asked: bytes
    answered: bytes
    metadata: dict[str, str] | None


class Payload(msgspec.Struct, frozen=True, array_like=True):
    """What is encrypted of a request."""

    asked: bytes
    answered: bytes


class KeyRetired(Exception):
    """Nothing new is written under these keys."""

    def __init__(self, ids: Collection[str]) -> None:
        super().__init__(f"{len(ids)} keys are retired")
        self.ids = ids


class Content:
    """`database` has the rows, `place` the recordings; `clock` gives unix seconds."""

    def __init__(
        self, database: Database, keys: Keys, place: Place, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._clock = clock
        self.keys = keys
        self.place = place

    async def keep(self, items: Sequence[Item]) -> None:
        """Keep these, all of them durably in one transaction, or none.

        Raises `Unavailable`, `StorageFull`, `OSError` or `KeyMissing`: then the database has none of them.
        """
        for _ in range(_TRIES):
            keys = {one.id: await self._key(one) for one in items}
            names = await asyncio.to_thread(self._record, items, keys)
            rows = await asyncio.to_thread(_rows, items, keys, names)
            try:
                await self._database.run(partial(_insert, rows=rows, now=self._clock()))
                return
            except KeyRetired as problem:
                self.keys.forget(problem.ids)
                await asyncio.to_thread(self.place.delete, list(names.values()))
        raise Unavailable("What is to be kept is moved to other keys at the moment.", retry_after=1)

    async def find(self, organization_id: str, now: float, *conditions: ColumnElement[bool]) -> list[Kept]:
        """What is kept of an organization under these conditions on the columns of `content`, the oldest
        first, read. What has expired by `now` is gone, whether it was deleted or not."""
        live = (content.c.organization_id == organization_id, content.c.expires_at > int(now))
        query = select(content).where(*live, *conditions).order_by(content.c.id)
        async with self._database.connect() as connection:
            rows = (await connection.execute(query)).all()
        return await self.read(rows)

    async def read(self, rows: Sequence[Any]) -> list[Kept]:
        """Rows of `content`, decrypted. One whose key is gone is gone, too. Raises `Unreadable`."""
        keys = await self.keys.there({row.sealed_with for row in rows})
        if lost := [row.id for row in rows if row.sealed_with not in keys]:
            # Or it was moved to another key since it was read.
            moved = {row.id: row for row in await self._rows(lost)}
            rows = [moved.get(row.id, row) for row in rows]
            keys |= await self.keys.there({row.sealed_with for row in moved.values()})
        there = [row for row in rows if row.sealed_with in keys]
        return await asyncio.to_thread(lambda: [opened(row, keys[row.sealed_with]) for row in there])

    async def recording(self, row: Any) -> AsyncIterator[bytes]:
        """The recording of a row, in pieces. Raises `Missing`, `Unreadable`, `KeyMissing` or `OSError`."""
        key = (await self.keys.of([row.sealed_with]))[row.sealed_with]
        pieces = unsealed(self.place, row, key)
        while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
            yield piece

    async def set_metadata(self, row: Any, metadata: Mapping[str, str]) -> bool:
        """Give a row other metadata; False if it is gone, or was moved meanwhile."""
        key = (await self.keys.there([row.sealed_with])).get(row.sealed_with)
        if key is None:
            return False
        sealed = seal(
            key.secret, msgspec.json.encode(metadata), bound(row.organization_id, row.id, "metadata")
        )
        same = (content.c.id == row.id) & (content.c.sealed_with == row.sealed_with)
        async with self._database.begin() as connection:
            done = await connection.execute(update(content).where(same).values(metadata=sealed))
        return bool(done.rowcount)

    async def _rows(self, ids: Sequence[str]) -> list[Any]:
        found: list[Any] = []
        async with self._database.connect() as connection:
            for some in chunks(ids):
                found += (await connection.execute(select(content).where(content.c.id.in_(some)))).all()
        return found

    async def _key(self, item: Item) -> Key:
        return await self.keys.current(item.organization_id, day_of(item.expires_at))

    def _record(self, items: Sequence[Item], keys: Mapping[str, Key]) -> dict[str, str]:
        """Put the recordings of `items` where they belong: their names, by the ids of the items."""
        names = {}
        for one in items:
            if one.recording is not None:
                key = keys[one.id]
                names[one.id] = put(
                    self.place, one.organization_id, one.id, key, recordings.read(one.recording)
                )
        return names


def one_line(content: bytes) -> bytes:
    """JSON without white space between its tokens, which are left as they were sent."""
    return msgspec.json.format(content, indent=-1)


def put(place: Place, organization_id: str, id: str, key: Key, pieces: Any) -> str:
    """Keep a recording of a row under a key; what it is called there, never twice the same."""
    name = f"{key.day}/{id}-{secrets.token_hex(4)}"
    place.put(name, recordings.seal(key.secret, pieces, bound(organization_id, id, "recording")))
    return name


def unsealed(place: Place, row: Any, key: Key) -> Any:
    """The pieces of a row's recording."""
    of = bound(row.organization_id, row.id, "recording")
    return recordings.unseal(key.secret, place.pieces(row.recording), of)


def opened(row: Any, key: Key) -> Kept:
    """A row of `content`, decrypted. Raises `Unreadable`."""
    plain = unseal(key.secret, row.payload, bound(row.organization_id, row.id, "payload"))
    payload = msgspec.msgpack.decode(plain, type=Payload)
    metadata = None
    if row.metadata is not None:
        told = unseal(key.secret, row.metadata, bound(row.organization_id, row.id, "metadata"))
        metadata = msgspec.json.decode(told, type=dict[str, str])
    return Kept(row=row, asked=payload.asked, answered=payload.answered, metadata=metadata)


def sealed(kept: Kept, key: Key) -> dict[str, Any]:
    """The encrypted columns of what was kept, under another key."""
    return _sealed(kept.row.organization_id, kept.row.id, kept, key)


def _sealed(organization_id: str, id: str, what: Item | Kept, key: Key) -> dict[str, Any]:
    plain = msgspec.msgpack.encode(Payload(what.asked, what.answered))
    metadata = None
    if what.metadata is not None:
        told = msgspec.json.encode(what.metadata)
        metadata = seal(key.secret, told, bound(organization_id, id, "metadata"))
    return {
        "sealed_with": key.id,
        "payload": seal(key.secret, plain, bound(organization_id, id, "payload")),
        "metadata": metadata,
    }


def _row(item: Item, key: Key, recording: str | None) -> dict[str, Any]:
    same = ("id", "request_id", "organization_id", "project_id", "key_id", "kind", "snapshot", "created_at")
    also = ("expires_at", "days", "whole", "stored", "completion_id")
    row = {name: getattr(item, name) for name in (*same, *also)}
    return (
        row | {"cause": "expired", "recording": recording} | _sealed(item.organization_id, item.id, item, key)
    )


def _rows(items: Sequence[Item], keys: Mapping[str, Key], names: Mapping[str, str]) -> list[dict[str, Any]]:
    return [_row(one, keys[one.id], names.get(one.id)) for one in items]


def _insert(connection: Connection, rows: Sequence[Mapping[str, Any]], now: float) -> None:
    check_current(connection, {row["sealed_with"] for row in rows})
    write(connection, _INSERT, rows)
    erased.catch_up(connection, rows, now)
    # Whose policy became stricter since their request began: what was there before was shortened already.
    wanted = {of(row) for row in rows}
    for whose, policy in policies.in_force(connection, wanted).items():
        if any(row["days"] > policy.days for row in rows if of(row) == whose):
            shorten(connection, *whose, policy.days, now, stored=policies.ends_stored(policy))


def of(row: Mapping[str, Any]) -> tuple[str, str]:
    """Whose a row is: the organization and the project."""
    return row["organization_id"], row["project_id"]


def check_current(connection: Connection, ids: Collection[str]) -> None:
    """See that something new may be written under these keys until the end of the transaction.

    Raises `KeyRetired`.
    """
    there: set[str] = set()
    for some in chunks(ids):
        query = select(content_key.c.id).where(content_key.c.id.in_(some), content_key.c.current)
        there |= set(connection.scalars(query.with_for_update(read=True)))
    if retired := set(ids) - there:
        raise KeyRetired(retired)

"""What is kept of requests: written in batches, encrypted, and read again by whoever may."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, insert, select, update

from antiphon.errors import AntiphonError, Unavailable
from antiphon.privacy import cuts, erased, policies, recordings
from antiphon.privacy.days import SECONDS, day_of
from antiphon.privacy.keys import Key, Keys
from antiphon.privacy.places import Place
from antiphon.privacy.sealing import bound, seal, unseal
from antiphon.storage.content_tables import content, content_key
from antiphon.storage.database import Database
from antiphon.storage.sql import chunks, write
from antiphon.values import Policy

_TRIES = 3
_MOST_LEFT = 10_000
"""Names of recordings that are to be deleted and could not be. Of more, the sweep deletes them in time."""
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


class Stricter(Exception):
    """The policy of some of this became stricter since it was looked at."""


class Content:
    """`database` has the rows, `place` the recordings; `clock` gives unix seconds."""

    def __init__(
        self, database: Database, keys: Keys, place: Place, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._clock = clock
        self.keys = keys
        self.place = place
        self._left: dict[str, str] = {}
        """Recordings that were put for rows which are perhaps not there: the rows' ids, by their names."""

    async def keep(self, items: Sequence[Item]) -> None:
        """Keep these, all of them durably in one transaction, or none. Those whose policy became stricter
        since their request began are kept as it says now, or not at all.

        Raises `Unavailable`, `StorageFull`, `OSError` or `KeyMissing`: then the database has none of them.
        """
        for _ in range(_TRIES):
            await self._tidy()
            if not (allowed := await self._allowed(items)):
                return
            keys = {one.id: await self._key(one) for one in allowed}
            names: dict[str, str] = {}
            try:
                await asyncio.to_thread(self._record, allowed, keys, names)
                rows = await asyncio.to_thread(_rows, allowed, keys, names)
                await self._database.run(partial(_insert, rows=rows, now=self._clock()))
                return
            except (KeyRetired, Stricter) as problem:
                await self._leave(names)
                if isinstance(problem, KeyRetired):
                    self.keys.forget(problem.ids)
            except Exception:
                await self._leave(names)
                raise
        raise Unavailable("What is to be kept is moved to other keys at the moment.", retry_after=1)

    async def find(self, organization_id: str, now: float, *conditions: ColumnElement[bool]) -> list[Kept]:
        """What is kept of an organization under these conditions on the columns of `content`, the oldest
        first, read. What has expired by `now` is gone, whether it was deleted or not."""
        async with self._database.connect() as connection:
            live = await connection.run_sync(cuts.live, organization_id, now)
            query = select(content).where(*live, *conditions).order_by(content.c.id)
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

    async def _allowed(self, items: Sequence[Item]) -> list[Item]:
        """Items as their policies say now, without those of which nothing is to be written."""
        async with self._database.connect() as connection:
            found = await connection.run_sync(policies.in_force, {_of(one) for one in items})
        allowed = []
        for one in items:
            days = _days(one.days, found[_of(one)], stored=one.stored)
            if days == one.days:
                allowed.append(one)
            elif days:
                expires_at = one.created_at + days * SECONDS
                allowed.append(msgspec.structs.replace(one, days=days, expires_at=expires_at))
        return allowed

    def _record(self, items: Sequence[Item], keys: Mapping[str, Key], names: dict[str, str]) -> None:
        """Put the recordings of `items` where they belong, and their names into `names`, by the ids of the
        items, each before it is put."""
        for one in items:
            if one.recording is not None:
                key = keys[one.id]
                names[one.id] = _named(key, one.id)
                pieces = recordings.read(one.recording)
                _put(self.place, names[one.id], one.organization_id, one.id, key, pieces)

    async def _leave(self, names: Mapping[str, str]) -> None:
        """Have these deleted, if no row speaks of them, now or with the next that is kept."""
        self._left |= {name: id for id, name in names.items()}
        while len(self._left) > _MOST_LEFT:
            del self._left[next(iter(self._left))]
        await self._tidy()

    async def _tidy(self) -> None:
        # What keeps from it is told by whoever keeps something: they need the same.
        with suppress(AntiphonError, OSError):
            for some in chunks(self._left):
                ids = {self._left[name] for name in some}
                query = select(content.c.recording).where(content.c.id.in_(ids))
                async with self._database.connect() as connection:
                    there = set(await connection.scalars(query))
                await asyncio.to_thread(self.place.delete, [name for name in some if name not in there])
                for name in some:
                    self._left.pop(name, None)


def one_line(content: bytes) -> bytes:
    """JSON without white space between its tokens, which are left as they were sent."""
    return msgspec.json.format(content, indent=-1)


def put(place: Place, organization_id: str, id: str, key: Key, pieces: Any) -> str:
    """Keep a recording of a row under a key; what it is called there, never twice the same."""
    name = _named(key, id)
    _put(place, name, organization_id, id, key, pieces)
    return name


def _named(key: Key, id: str) -> str:
    return f"{key.day}/{id}-{secrets.token_hex(4)}"


def _put(place: Place, name: str, organization_id: str, id: str, key: Key, pieces: Any) -> None:
    place.put(name, recordings.seal(key.secret, pieces, bound(organization_id, id, "recording")))


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
    """Raises `Stricter` or `KeyRetired`."""
    whose = {(row["organization_id"], row["project_id"]) for row in rows}
    # A policy that is set from here on finds these rows there, and shortens them.
    policies.hold(connection, {organization for organization, _ in whose})
    found = policies.in_force(connection, whose)
    for row in rows:
        policy = found[row["organization_id"], row["project_id"]]
        if _days(row["days"], policy, stored=row["stored"]) != row["days"]:
            raise Stricter
    check_current(connection, {row["sealed_with"] for row in rows})
    write(connection, _INSERT, rows)
    erased.catch_up(connection, rows, now)


def _of(item: Item) -> tuple[str, str]:
    """Whose it is: the organization and the project."""
    return item.organization_id, item.project_id


def _days(days: int, policy: Policy, *, stored: bool) -> int:
    """For how long something is kept under a policy that was to be kept for `days`; 0: not at all."""
    if stored and not policies.ends_stored(policy):
        return days
    return min(days, policy.days)


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

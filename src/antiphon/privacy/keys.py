"""The keys that content is encrypted with: one for each organization and day on which its content expires.

They are in a database of their own, so that a backup of the content is worth nothing without today's keys.
What is under a key expires with it: when the key is destroyed, so is every copy of what it opened.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from functools import partial

import msgspec
from sqlalchemy import Connection, delete, insert, inspect, select

from antiphon.errors import ConfigurationError
from antiphon.privacy.sealing import new_secret
from antiphon.settings import Settings
from antiphon.storage.content_tables import content_key, key_metadata, sealing_key
from antiphon.storage.database import Database
from antiphon.storage.ids import new_id
from antiphon.storage.sql import chunks, insert_missing

_REMEMBERED = 4096
"""Keys in memory."""


class Key(msgspec.Struct, frozen=True):
    id: str
    day: str
    secret: bytes


class KeyMissing(Exception):
    """The content names a key that is not in this machine's store of keys."""

    def __init__(self, ids: Collection[str]) -> None:
        super().__init__(
            f"{len(ids)} keys that the content names are not in the key store of this machine: "
            "set content_keys to the same database on every machine"
        )


class Keys:
    """`database` names the keys, `store` has them."""

    def __init__(self, database: Database, store: Database) -> None:
        self._database = database
        self._store = store
        self._known: OrderedDict[str, Key] = OrderedDict()
        self._current: dict[tuple[str, str], str] = {}

    async def current(self, organization_id: str, day: str) -> Key:
        """The key under which content of an organization is written that expires on a day; made if there is
        none. It may be retired by the time something is written; then `forget` leads to the next.

        Raises `KeyMissing`.
        """
        id = self._current.get((organization_id, day)) or await self._named(organization_id, day)
        if id is None:
            made = Key(new_id("ckey_"), day, new_secret())
            # First the key, then its name: what has a name can be used.
            async with self._store.begin() as connection:
                kept = {"id": made.id, "day": day, "secret": made.secret}
                await connection.execute(insert(sealing_key).values(kept))
            name = {"id": made.id, "organization_id": organization_id, "day": day}
            row = name | {"current": True, "retired_at": None}
            await self._database.run(partial(insert_missing, table=content_key, rows=[row]))
            id = await self._named(organization_id, day)
            if id is None:
                raise KeyMissing([made.id])
        self._current[organization_id, day] = id
        return (await self.of([id]))[id]

    async def of(self, ids: Collection[str]) -> dict[str, Key]:
        """These keys, by id. Raises `KeyMissing`."""
        found = await self.there(ids)
        if lacking := set(ids) - found.keys():
            raise KeyMissing(lacking)
        return found

    async def there(self, ids: Collection[str]) -> dict[str, Key]:
        """Those of these keys that there are, by id."""
        wanted = set(ids)
        found = {id: self._known[id] for id in wanted if id in self._known}
        if missing := wanted - found.keys():
            async with self._store.connect() as connection:
                for some in chunks(missing):
                    rows = await connection.execute(select(sealing_key).where(sealing_key.c.id.in_(some)))
                    found |= {row.id: Key(row.id, row.day, row.secret) for row in rows}
            for id in missing & found.keys():
                self._known[id] = found[id]
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return found

    def forget(self, ids: Collection[str] = (), *, before: str = "") -> None:
        """Have these no longer in memory, nor any of a day before this one."""
        gone = {id for id, key in self._known.items() if id in ids or key.day < before}
        for id in gone:
            del self._known[id]
        self._current = {
            place: id
            for place, id in self._current.items()
            if id not in ids and id not in gone and place[1] >= before
        }

    async def destroy(self, ids: Collection[str]) -> None:
        """See that these are gone, from the files of the store too; doing it again does no harm."""
        self.forget(ids)
        async with self._store.begin() as connection:
            await connection.run_sync(partial(_delete, ids=ids))
        await self._store.forget(sealing_key.name)

    async def past(self, before: str) -> list[str]:
        """Those of days before this one, whether the content names them or not."""
        async with self._store.connect() as connection:
            query = select(sealing_key.c.id).where(sealing_key.c.day < before)
            return list((await connection.scalars(query)).all())

    async def lost(self) -> list[str]:
        """Those that the content names, and that are not here."""
        async with self._store.connect() as connection:
            there = set(await connection.scalars(select(sealing_key.c.id)))
        async with self._database.connect() as connection:
            named = (await connection.scalars(select(content_key.c.id))).all()
        return [id for id in named if id not in there]

    async def lacking(self, day: str) -> bool:
        """Whether content of this day or later names a key that is not here."""
        async with self._database.connect() as connection:
            query = select(content_key.c.id).where(content_key.c.day >= day).order_by(content_key.c.id)
            names = (await connection.scalars(query.limit(1))).all()
        try:
            await self.of(names)
        except KeyMissing:
            return True
        return False

    async def _named(self, organization_id: str, day: str) -> str | None:
        columns = content_key.c
        of_day = (columns.organization_id == organization_id) & (columns.day == day)
        async with self._database.connect() as connection:
            id: str | None = await connection.scalar(select(columns.id).where(of_day, columns.current))
        return id


@asynccontextmanager
async def opened_keys(settings: Settings, database: Database) -> AsyncIterator[Keys]:
    """The keys, with their table made. Raises `ConfigurationError` where they lie beside the content."""
    check_named_apart(settings)
    async with Database(settings.content_keys_url) as store:
        async with store.alone() as connection:
            await connection.run_sync(check_apart)
            await connection.run_sync(key_metadata.create_all)
        yield Keys(database, store)


def check_named_apart(settings: Settings) -> None:
    """Raises `ConfigurationError` where the settings name one database for the content and for its keys."""
    if settings.content_keys_url == settings.database_url:
        raise _beside()


def check_apart(connection: Connection) -> None:
    """Raises `ConfigurationError` where the store of keys is the database of the content."""
    if inspect(connection).has_table(content_key.name):
        raise _beside()


def _beside() -> ConfigurationError:
    return ConfigurationError(
        "content_keys names the database of the content",
        fix="name another database: whoever has a backup of one must not have both",
    )


def _delete(connection: Connection, ids: Collection[str]) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete = ON")
    for some in chunks(ids):
        connection.execute(delete(sealing_key).where(sealing_key.c.id.in_(some)))

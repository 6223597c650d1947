"""Checks of where content is kept: its keys, in a database of their own, and recordings in S3."""

from __future__ import annotations

import asyncio
import secrets
import time
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection, exc, insert, inspect, select
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection

from antiphon.cli.checks import Finding
from antiphon.errors import AntiphonError, Unavailable
from antiphon.privacy.days import day_of
from antiphon.privacy.keys import check_apart, check_named_apart
from antiphon.privacy.places import Missing
from antiphon.privacy.s3 import Bucket
from antiphon.settings import Settings
from antiphon.storage.content_tables import content_key, sealing_key
from antiphon.storage.database import Database
from antiphon.storage.ids import new_id

_OBJECT = b"antiphon doctor"
_MEND = "mend content_keys (ANTIPHON_CONTENT_KEYS)"
_ALLOW = "let the user of content_keys SELECT, INSERT and DELETE, or have it own the table"
_S3 = (
    "see that the bucket is there, and that the AWS_… credentials may put, get, list and delete objects in it"
)


def content_keys(settings: Settings) -> Finding:
    """Whether the keys can be read and written, apart from the content, and open what there is.

    A file that is not there yet is not made.
    """
    check_named_apart(settings)
    wanted = None if _absent(settings.database_url) else asyncio.run(_named(settings))
    if path := _absent(settings.content_keys_url):
        return (
            _lost(f"{path} is not there") if wanted else Finding("ok", f"{path} is made at the first start")
        )
    return asyncio.run(_tried(settings.content_keys_url, wanted))


def content_storage(settings: Settings) -> Finding:
    """Whether recordings can be put where they are to lie, read there, and deleted."""
    if not settings.content_storage:
        return Finding("ok", "recordings lie in the data folder")
    # Of today: what cannot be deleted now is found by the purge.
    name, doing = f"{day_of(time.time())}/doctor-{secrets.token_hex(8)}", "put"
    with closing(Bucket(settings.content_storage)) as place:
        try:
            place.put(name, [_OBJECT])
            doing = "read"
            same = b"".join(place.pieces(name)) == _OBJECT
            doing = "deleted"
            place.delete([name])
        except (OSError, Missing) as problem:
            return Finding(
                "problem", f"{settings.content_storage}: an object cannot be {doing} ({problem})", _S3
            )
    if not same:
        return Finding("problem", f"{settings.content_storage} gives back what was not put there", _S3)
    return Finding("ok", f"{settings.content_storage}: an object was put, read and deleted")


def _absent(address: str) -> str:
    """The file that an address of SQLite names, if it is not there; else empty."""
    url = make_url(address)
    path = url.database or ""
    return path if url.get_backend_name() == "sqlite" and not Path(path).exists() else ""


async def _named(settings: Settings) -> str | None:
    """A key that content names which is kept today; None if there is none, or the database has no such table.

    What else is wrong with that database is told by its own check.
    """

    def find(connection: Connection) -> str | None:
        if not inspect(connection).has_table(content_key.name):
            return None
        query = select(content_key.c.id).where(content_key.c.day >= day_of(time.time()))
        return connection.scalar(query.order_by(content_key.c.id).limit(1))

    try:
        async with Database(settings.database_url) as database, database.connect() as connection:
            return await connection.run_sync(find)
    except AntiphonError:
        return None


async def _tried(url: str, wanted: str | None) -> Finding:
    async with Database(url) as store:
        try:
            async with store.connect() as connection:
                await connection.run_sync(check_apart)
                lost = await _faults(connection, store.address, wanted)
            if lost is None:
                async with store.begin() as connection:
                    await _written(connection)
        except Unavailable:
            return Finding("problem", f"{store.address} cannot be used", f"start that database, or {_MEND}")
        except exc.ProgrammingError as problem:
            return Finding("problem", f"{store.address} may not be read or written: {problem.orig}", _ALLOW)
        return lost or Finding("ok", f"{store.address} can be read and written")


async def _faults(connection: AsyncConnection, address: str, wanted: str | None) -> Finding | None:
    """What is wrong with the keys that there are."""
    there = await connection.run_sync(_columns)
    if there is None:
        told = f"{address} has no keys yet"
        return _lost(told) if wanted else Finding("ok", f"{told}: their table is made at the first start")
    if missing := set(sealing_key.c.keys()) - there:
        return Finding("problem", f"{address} lacks {', '.join(sorted(missing))}", f"restore it, or {_MEND}")
    query = select(sealing_key.c.id).where(sealing_key.c.id == wanted)
    if wanted and await connection.scalar(query) is None:
        return _lost(f"{address} lacks keys")
    return None


def _columns(connection: Connection) -> set[str] | None:
    there = inspect(connection)
    if not there.has_table(sealing_key.name):
        return None
    return {column["name"] for column in there.get_columns(sealing_key.name)}


async def _written(connection: AsyncConnection) -> None:
    """Write a key, and take that back."""
    row = {"id": new_id("ckey_"), "day": "1970-01-01", "secret": b""}
    async with connection.begin_nested() as attempt:
        await connection.execute(insert(sealing_key).values(row))
        await attempt.rollback()


def _lost(told: str) -> Finding:
    fix = f"{_MEND}: it is one database for all machines; or restore the newest file of keys"
    return Finding("problem", f"{told}, and content is encrypted with what was there", fix)

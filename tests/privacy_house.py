"""What is kept, over a database and a folder of a test, with a clock that a test moves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import select

from antiphon.operations.purge import Purge
from antiphon.privacy.content import Content, Item
from antiphon.privacy.days import SECONDS
from antiphon.privacy.keys import Keys, opened_keys
from antiphon.privacy.places import Folder, Place
from antiphon.privacy.receipts import Body, Receipt, faults, listed, load_signer
from antiphon.settings import Settings
from antiphon.storage import tables
from antiphon.storage.content_tables import sealing_key
from antiphon.storage.database import Database
from antiphon.storage.ids import ordered_id

NOON = 1_795_867_200
"""2026-11-28, 12:00 UTC."""
DAY = SECONDS


class House:
    """`now` is the clock of everything in it; `step` is what a purge calls between its steps."""

    def __init__(self, home: Path, database: Database, keys: Keys, place: Place) -> None:
        self.home, self.database, self.keys = home, database, keys
        self.now = float(NOON)
        self.content = Content(database, keys, place, lambda: self.now)
        self.place = place
        self.kept = 0
        self.steps: list[str] = []
        self.dies_at = ""

    def item(
        self, text: str = "hello", days: int = 30, recording: bytes | None = None, **fields: Any
    ) -> Item:
        """Something to keep that was asked for now."""
        file = None
        if recording is not None:
            file = self.home / ordered_id("keep-", self.now)
            file.write_bytes(recording)
        self.kept += 1
        known: dict[str, Any] = {
            "id": ordered_id("cont_", self.now + self.kept / 1_000_000),
            "request_id": ordered_id("req_", self.now),
            "organization_id": "org-1",
            "project_id": "proj_1",
            "key_id": "key_1",
            "kind": "chat",
            "snapshot": "tiny",
            "created_at": int(self.now),
            "expires_at": int(self.now) + days * DAY,
            "days": days,
            "whole": True,
            "asked": msgspec.json.encode({"asked": text}),
            "answered": msgspec.json.encode({"answered": text}),
            "recording": file,
        }
        return Item(**(known | fields))

    async def keep(self, *items: Item) -> None:
        await self.content.keep(items)

    def purge(self, **options: Any) -> Purge:
        def step(name: str) -> None:
            self.steps.append(name)
            if name == self.dies_at:
                raise Killed(name)

        signer = load_signer(self.home)
        return Purge(self.database, self.content, signer, lambda: self.now, step=step, **options)

    async def purged(self) -> Body | None:
        return await self.purge().look(sign=True)

    async def rows(self, table: Any = tables.content) -> Sequence[Any]:
        async with self.database.connect() as connection:
            return (await connection.execute(select(table))).all()

    async def secrets(self) -> dict[str, bytes]:
        """The keys that there are, by id."""
        async with self.keys._store.connect() as connection:
            return {row.id: row.secret for row in await connection.execute(select(sealing_key))}

    async def receipts(self) -> list[Receipt]:
        """Those that were signed; they are sound."""
        async with self.database.connect() as connection:
            found = await connection.run_sync(listed)
        assert faults(found, {load_signer(self.home).public_key}) == []
        return found


class Killed(BaseException):
    """Nobody catches it, as a process that is killed has no time to."""


@asynccontextmanager
async def housed(
    home: Path, database: Database, url: str, place: Place | None = None
) -> AsyncIterator[House]:
    settings = Settings(home=str(home), database=url)
    async with opened_keys(settings, database) as keys:
        yield House(home, database, keys, place or Folder(home))

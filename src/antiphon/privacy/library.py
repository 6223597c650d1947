"""The stored completions of each project, among what is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from antiphon.errors import InvalidRequest, NotFound, Unavailable
from antiphon.privacy import cuts, expiring
from antiphon.privacy.content import Content, Kept
from antiphon.privacy.paging import page
from antiphon.privacy.stored import Page, StoredCompletion, Which
from antiphon.storage.content_tables import content
from antiphon.storage.database import Database

_BATCH = 64
_BATCH_BYTES = 4 * 1024 * 1024
"""What is read at once, in rows and in what is encrypted in them; one that is larger is alone."""
_SCANNED = 1024
_SCANNED_BYTES = 32 * 1024 * 1024
"""What is looked through for a page: what is asked for by metadata or by a name is decrypted to be found."""
_PAGE_BYTES = 8 * 1024 * 1024
"""Of completions, from which on a page has no more of them."""
_TRIES = 3


class _Asked(msgspec.Struct, frozen=True):
    model: str = ""


class Library:
    """As `StoredCompletions`, over what is kept. `clock` gives unix seconds."""

    def __init__(self, database: Database, kept: Content, clock: Callable[[], float]) -> None:
        self._database = database
        self._kept = kept
        self._clock = clock

    async def list(
        self, organization_id: str, project_id: str, which: Which, *, after: str | None, limit: int
    ) -> Page:
        place = None if after is None else await self._place(organization_id, project_id, after)
        found: list[StoredCompletion] = []
        scanned = size = sent = 0
        last = after
        while True:
            most = _BATCH if which.model or which.metadata else min(_BATCH, limit - len(found) + 1)
            rows = await self._beyond(organization_id, project_id, place, which.order, most)
            if not rows:
                return Page(found, False, last)
            for kept in await self._kept.read(rows):
                if scanned == _SCANNED or size > _SCANNED_BYTES:
                    return Page(found, True, last)
                scanned += 1
                size += len(kept.asked) + len(kept.answered)
                if _matches(kept, which):
                    if len(found) == limit or sent > _PAGE_BYTES:
                        return Page(found, True, last)
                    found.append(_completion(kept))
                    sent += len(kept.asked) + len(kept.answered)
                last = kept.row.completion_id
            place = rows[-1].id

    async def get(self, organization_id: str, project_id: str, id: str) -> StoredCompletion:
        for kept in await self._kept.read([await self._row(organization_id, project_id, id)]):
            return _completion(kept)
        raise NotFound("There is no such stored completion.")

    async def update_metadata(
        self, organization_id: str, project_id: str, id: str, metadata: Mapping[str, str]
    ) -> StoredCompletion:
        for _ in range(_TRIES):
            row = await self._row(organization_id, project_id, id)
            if await self._kept.set_metadata(row, metadata):
                return await self.get(organization_id, project_id, id)
        raise Unavailable("The completion is moved to another key at the moment.", retry_after=1)

    async def delete(self, organization_id: str, project_id: str, id: str) -> None:
        row = await self._row(organization_id, project_id, id)
        work = partial(expiring.delete, organization_id=organization_id, ids=[row.id], now=self._clock())
        async with self._database.begin() as connection:
            await connection.run_sync(work)

    async def _beyond(
        self, organization_id: str, project_id: str, place: str | None, order: str, most: int
    ) -> Sequence[Any]:
        """The next rows of a list, from a place in it on."""
        back = order == "desc"
        async with self._database.connect() as connection:
            mine = await self._live(connection, organization_id, project_id)
            if place is not None:
                mine = (*mine, content.c.id < place if back else content.c.id > place)
            return await page(connection, *mine, most=most, most_bytes=_BATCH_BYTES, backwards=back)

    async def _live(
        self, connection: AsyncConnection, organization_id: str, project_id: str
    ) -> tuple[ColumnElement[bool], ...]:
        live = await connection.run_sync(cuts.live, organization_id, self._clock())
        return (*live, content.c.project_id == project_id, content.c.stored)

    async def _row(self, organization_id: str, project_id: str, id: str) -> Row[Any]:
        async with self._database.connect() as connection:
            mine = await self._live(connection, organization_id, project_id)
            query = select(content).where(*mine, content.c.completion_id == id)
            row = (await connection.execute(query)).first()
        if row is None:
            raise NotFound("There is no such stored completion.")
        return row

    async def _place(self, organization_id: str, project_id: str, after: str) -> str:
        async with self._database.connect() as connection:
            mine = await self._live(connection, organization_id, project_id)
            place = await connection.scalar(
                select(content.c.id).where(*mine, content.c.completion_id == after)
            )
        if place is None:
            raise InvalidRequest("'after' is not the id of an entry of this list.", param="after")
        return str(place)


def _matches(kept: Kept, which: Which) -> bool:
    if not which.metadata.items() <= (kept.metadata or {}).items():
        return False
    if which.model in (None, kept.row.snapshot):
        return True
    return msgspec.json.decode(kept.asked, type=_Asked).model == which.model


def _completion(kept: Kept) -> StoredCompletion:
    return StoredCompletion(
        id=kept.row.completion_id,
        request_id=kept.row.request_id,
        metadata=kept.metadata or {},
        asked=kept.asked,
        answered=kept.answered,
    )

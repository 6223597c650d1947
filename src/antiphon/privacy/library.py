"""The stored completions of each project, among what is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Row, select

from antiphon.errors import InvalidRequest, NotFound, Unavailable
from antiphon.privacy import expiring
from antiphon.privacy.content import Content, Kept
from antiphon.privacy.stored import StoredCompletion, Which
from antiphon.storage.content_tables import content
from antiphon.storage.database import Database

_BATCH = 64
"""Rows that are read at once: what is asked for by metadata or by a name has to be decrypted to be found."""
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
    ) -> tuple[list[StoredCompletion], bool]:
        ascending = which.order == "asc"
        mine = self._live(organization_id, project_id)
        place = await self._place(mine, after) if after is not None else None
        found: list[StoredCompletion] = []
        size = 0
        while True:
            beyond = () if place is None else ((content.c.id > place if ascending else content.c.id < place),)
            order = content.c.id.asc() if ascending else content.c.id.desc()
            query = select(content).where(*mine, *beyond).order_by(order).limit(_BATCH)
            async with self._database.connect() as connection:
                rows = (await connection.execute(query)).all()
            if not rows:
                return found, False
            place = rows[-1].id
            for kept in await self._kept.read(rows):
                if not _matches(kept, which):
                    continue
                if len(found) == limit or (found and size > _PAGE_BYTES):
                    return found, True
                found.append(_completion(kept))
                size += len(kept.asked) + len(kept.answered)

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

    def _live(self, organization_id: str, project_id: str) -> tuple[ColumnElement[bool], ...]:
        return (
            content.c.organization_id == organization_id,
            content.c.project_id == project_id,
            content.c.stored,
            content.c.expires_at > int(self._clock()),
        )

    async def _row(self, organization_id: str, project_id: str, id: str) -> Row[Any]:
        query = select(content).where(*self._live(organization_id, project_id), content.c.completion_id == id)
        async with self._database.connect() as connection:
            row = (await connection.execute(query)).first()
        if row is None:
            raise NotFound("There is no such stored completion.")
        return row

    async def _place(self, mine: tuple[ColumnElement[bool], ...], after: str) -> str:
        query = select(content.c.id).where(*mine, content.c.completion_id == after)
        async with self._database.connect() as connection:
            place = await connection.scalar(query)
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

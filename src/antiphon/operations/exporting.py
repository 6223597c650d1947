"""What is kept of organizations, given out: all of one to its owner, or what may be trained on of all.

A folder with `content.jsonl`, a line for each request in the shape of OpenAI's batches, and the recordings as
they were uploaded. Nothing is ever read for training of whom has not opted in: at the time of the request,
and now. Who opts out meanwhile is left with the next batch.
"""

from __future__ import annotations

import asyncio
import os
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any

import msgspec
from sqlalchemy import ColumnElement

from antiphon.errors import ConfigurationError, StorageFull
from antiphon.privacy import cuts
from antiphon.privacy.consent import Consents, Decision
from antiphon.privacy.content import Content, Kept, one_line
from antiphon.privacy.keys import KeyMissing
from antiphon.privacy.paging import page
from antiphon.privacy.places import Missing
from antiphon.storage import audit
from antiphon.storage.content_tables import content as rows
from antiphon.storage.database import Database
from antiphon.storage.files import NO_SPACE
from antiphon.values import Caller

_BATCH = 100
_BATCH_BYTES = 16 * 1024 * 1024
"""Of what is encrypted, in memory at once; one that is larger is alone."""
_FILE = "content.jsonl"
_RECORDINGS = "recordings"
_ROUTES = {
    "chat": "/v1/chat/completions",
    "completion": "/v1/completions",
    "embedding": "/v1/embeddings",
    "transcription": "/v1/audio/transcriptions",
    "translation": "/v1/audio/translations",
}


Allowed = Callable[[Any], bool]
"""Whether a row may be read."""


class Exported(msgspec.Struct):
    """How much was given out; `missing` recordings are not where they should be, and left out, and of
    `unreadable` requests the keys are not."""

    requests: int = 0
    recordings: int = 0
    missing: int = 0
    unreadable: int = 0


class Exporter:
    """Gives out to an empty folder. `clock` in unix seconds; `show` is told of what was given out so far."""

    def __init__(
        self,
        database: Database,
        content: Content,
        clock: Callable[[], float],
        show: Callable[[Exported], None] = lambda _: None,
    ) -> None:
        self._database = database
        self._content = content
        self._clock = clock
        self._show = show

    async def of_organization(
        self, organization_id: str, folder: Path, *, by: Caller | None = None
    ) -> Exported:
        """All that is kept of it. `by` is who asks; None is the operator's command line.

        Raises `ConfigurationError` for a folder that holds something already.
        """
        await self._record("data.exported", organization_id, {"id": organization_id}, by)
        found = Exported()
        with await asyncio.to_thread(_opened, folder) as file:
            await self._write(organization_id, folder, file, found, _everything)
        return found

    async def for_training(self, organization_ids: Sequence[str], folder: Path) -> Exported:
        """What may be trained on: of those that are opted in now, what they asked while they were."""
        found = Exported()
        with await asyncio.to_thread(_opened, folder) as file:
            for organization_id in organization_ids:
                may = partial(self._agreed_now, organization_id)
                if await may() is None:
                    continue
                await self._record("data.exported_for_training", organization_id, {"id": organization_id})
                await self._write(organization_id, folder, file, found, may)
        return found

    async def _agreed_now(self, organization_id: str) -> Allowed | None:
        """What may be trained on, by what was decided until now; None: nothing."""
        consents = Consents(self._database, self._clock)
        if not await consents.opted_in(organization_id, self._clock()):
            return None
        return partial(_agreed, await _decisions(consents, organization_id))

    async def _record(
        self, type: str, organization_id: str, payload: dict[str, str], by: Caller | None = None
    ) -> None:
        """Before anything is read."""
        async with self._database.begin() as connection:
            await audit.record(
                connection, type, payload, organization_id=organization_id, by=by, now=self._clock()
            )

    async def _write(
        self,
        organization_id: str,
        folder: Path,
        file: IO[bytes],
        found: Exported,
        may: Callable[[], Awaitable[Allowed | None]],
    ) -> None:
        """`may` says before each batch which rows may be read; None: nothing any more."""
        last = ""
        while (allowed := await may()) is not None:
            batch = await self._rows(organization_id, rows.c.id > last)
            if not batch:
                return
            last = batch[-1].id
            wanted = [row for row in batch if allowed(row)]
            readable = await self._content.read(wanted)
            found.unreadable += len(wanted) - len(readable)
            for kept in readable:
                name = await self._recording(kept.row, folder, found)
                await asyncio.to_thread(file.write, msgspec.json.encode(_line(kept, name)) + b"\n")
                found.requests += 1
                self._show(found)

    async def _rows(self, organization_id: str, *conditions: ColumnElement[bool]) -> Sequence[Any]:
        """The next that are still to be read, the oldest first."""
        async with self._database.connect() as connection:
            live = await connection.run_sync(cuts.live, organization_id, self._clock())
            return await page(connection, *live, *conditions, most=_BATCH, most_bytes=_BATCH_BYTES)

    async def _recording(self, row: Any, folder: Path, found: Exported) -> str | None:
        if row.recording is None:
            return None
        path = folder / _RECORDINGS / row.request_id
        if not await self._copied(row, path):
            # The purge may have moved it to another key, or deleted it, since its row was looked up.
            again = await self._rows(row.organization_id, rows.c.id == row.id)
            if not again:
                return None
            if again[0].recording is None or not await self._copied(again[0], path):
                found.missing += 1
                return None
        found.recordings += 1
        return f"{_RECORDINGS}/{row.request_id}"

    async def _copied(self, row: Any, path: Path) -> bool:
        """Write a row's recording to a new file, as it was uploaded; False if it is not there."""
        try:
            with await asyncio.to_thread(_created, path) as file:
                async for piece in self._content.recording(row):
                    await asyncio.to_thread(file.write, piece)
        except (Missing, KeyMissing):
            await asyncio.to_thread(path.unlink)
            return False
        return True


async def _everything() -> Allowed:
    return lambda row: True


def _agreed(decisions: Sequence[Decision], row: Any) -> bool:
    return agreed(decisions, row.created_at)


def agreed(decisions: Sequence[Decision], at: int) -> bool:
    """Whether an organization had opted in for the whole of a second, by its decisions, the oldest first."""
    begins, ends = at * 1_000_000, (at + 1) * 1_000_000 - 1
    moments = [decision.decided_at for decision in decisions]
    first, last = bisect_right(moments, begins), bisect_right(moments, ends)
    return first > 0 and all(decision.opted_in for decision in decisions[first - 1 : last])


async def _decisions(consents: Consents, organization_id: str) -> list[Decision]:
    found: list[Decision] = []
    more = True
    while more:
        page, more = await consents.list(organization_id, after=found[-1].id if found else None)
        found += page
    return found[::-1]


def _line(kept: Kept, recording: str | None) -> dict[str, Any]:
    """As JSON it is one line: a body may have been sent in several."""
    row = kept.row
    return {
        "custom_id": row.request_id,
        "method": "POST",
        "url": _ROUTES[row.kind],
        "body": msgspec.Raw(one_line(kept.asked)),
        "response": {
            "request_id": row.request_id,
            "complete": row.whole,
            "body": msgspec.Raw(one_line(kept.answered)) if kept.answered else None,
        },
        "organization_id": row.organization_id,
        "project_id": row.project_id,
        "key_id": row.key_id,
        "snapshot": row.snapshot,
        "created_at": row.created_at,
        "expires_at": row.expires_at,
        "stored": row.stored,
        "metadata": kept.metadata,
        "recording": recording,
    }


def _opened(folder: Path) -> IO[bytes]:
    """Begin an export in a folder of its own, for its owner alone."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise ConfigurationError(f"{folder} is not empty", fix="name a folder that does not exist yet")
        (folder / _RECORDINGS).mkdir(mode=0o700)
    except OSError as problem:
        raise _meaning(problem, folder) from problem
    return _created(folder / _FILE)


def _created(path: Path) -> IO[bytes]:
    try:
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
    except OSError as problem:
        raise _meaning(problem, path) from problem


def _meaning(problem: OSError, path: Path) -> StorageFull | ConfigurationError:
    if problem.errno in NO_SPACE:
        return StorageFull(f"There is no space left for {path.name}.")
    return ConfigurationError(f"{path} cannot be made: {problem.strerror}", fix="choose a folder to write in")

"""What is kept of requests, put together: its rows, keys and recordings, its purge, and figures of both."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, NoReturn

import msgspec

from antiphon.console.jobs import FOLDER, forget_erased
from antiphon.errors import AntiphonError
from antiphon.inference.metrics import Metrics
from antiphon.operations.purge import Purge
from antiphon.operations.webhook import Webhook, load_secret
from antiphon.privacy.content import Content, one_line
from antiphon.privacy.days import day_of
from antiphon.privacy.keeper import Keeper, keeping
from antiphon.privacy.keys import KeyMissing, opened_keys
from antiphon.privacy.library import Library
from antiphon.privacy.places import Folder, Place
from antiphon.privacy.purging import late
from antiphon.privacy.receipts import load_signer
from antiphon.privacy.s3 import Bucket
from antiphon.settings import Settings
from antiphon.storage.content_tables import content as rows
from antiphon.storage.database import Database

_LOOK = 60.0

log = logging.getLogger(__name__)


@asynccontextmanager
async def opened_content(settings: Settings, database: Database) -> AsyncIterator[Content]:
    """What is kept, for as long as the block runs. A key store that lacks keys of it is complained about."""
    place: Place = Folder(settings.home_path)
    if settings.content_storage:
        place = await asyncio.to_thread(Bucket, settings.content_storage)
    async with opened_keys(settings, database) as keys:
        if await keys.lacking(day_of(time.time())):
            log.error("content is not kept: %s", KeyMissing(["some"]))
        yield Content(database, keys, place)


async def purging(
    settings: Settings, database: Database, content: Content
) -> dict[str, Coroutine[Any, Any, None]]:
    """What deletes what has expired, and what looks whether that is done."""
    purge = await new_purge(settings, database, content)
    return {"purge": purge.run(), "purge alarm": purge.watch()}


async def new_purge(settings: Settings, database: Database, content: Content) -> Purge:
    signer = await asyncio.to_thread(load_signer, settings.home_path)
    webhook = None
    if settings.webhook:
        webhook = Webhook(settings.webhook, await asyncio.to_thread(load_secret, settings.home_path))
    exports = partial(forget_erased, database, settings.home_path / FOLDER)
    return Purge(database, content, signer, time.time, webhook=webhook, beside=exports)


class Lateness:
    """For how many `seconds` something should have been gone that is not: looked at now and then."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock
        self.seconds = 0.0

    async def run(self) -> NoReturn:
        """Until cancelled. What cannot be read is what it was."""
        while True:
            await asyncio.sleep(_LOOK)
            try:
                async with self._database.connect() as connection:
                    self.seconds = await connection.run_sync(partial(late, now=int(self._clock())))
            except AntiphonError as problem:
                log.warning("it is not known whether content is deleted on time: %s", problem)


class Evidence(msgspec.Struct, frozen=True):
    """What was flagged, as far as it is kept: as `moderation.evidence.Evidence`."""

    content: Content

    async def text(self, organization_id: str, request_id: str) -> str | None:
        """The request and its answer, a line of JSON each."""
        same = rows.c.request_id == request_id
        found = await self.content.find(organization_id, time.time(), same)
        lines = [one_line(each).decode() for kept in found for each in (kept.asked, kept.answered) if each]
        return "\n".join(lines) or None


class Data(msgspec.Struct, frozen=True):
    """What is kept of requests, at work."""

    content: Content
    stored: Library
    keeper: Keeper
    late: Lateness

    @property
    def evidence(self) -> Evidence:
        return Evidence(self.content)

    def figures(self, metrics: Metrics) -> None:
        """Have what is kept, and what is deleted, among the metrics."""
        metrics.gauge(
            "antiphon_content_dropped",
            "Requests that should have been kept and were not, since the start",
            "reason",
            lambda: self.keeper.dropped,
        )
        metrics.gauge(
            "antiphon_content_waiting",
            "Requests that wait to be kept",
            "state",
            lambda: {"queued": self.keeper.waiting},
        )
        metrics.gauge(
            "antiphon_purge_late_seconds",
            "Seconds for which something should have been gone that is not",
            "what",
            lambda: {"content": self.late.seconds},
        )


@asynccontextmanager
async def kept(settings: Settings, database: Database) -> AsyncIterator[Data]:
    """What is kept, with a keeper at work, for as long as the block runs."""
    async with opened_content(settings, database) as content, keeping(content) as keeper:
        library = Library(database, content, time.time)
        yield Data(content, library, keeper, Lateness(database, time.time))

"""Minutes of requests in a database, written by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Connection, select

from antiphon.status import counting, rolling, watching
from antiphon.status.incidents import Incident
from antiphon.storage.database import Database
from antiphon.storage.tables import status_minute, status_span

T = TypeVar("T")
DAY = 86_400
BEGIN = 1_800_000_000 - 1_800_000_000 % DAY
"""A midnight."""


class Minutes:
    """A service whose minutes are told one after another; `now` is the end of the last one."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.now = BEGIN

    async def run(self, work: Callable[..., T], **arguments: Any) -> T:
        return await self.database.run(partial(work, **arguments))

    async def pass_by(self, minutes: int, *, alive: bool = True, **counts: tuple[int, int]) -> None:
        """So many minutes with these counts (good, bad) in each."""
        rows: dict[tuple[str, int], tuple[int, int]] = {}
        for _ in range(minutes):
            if alive:
                rows[counting.SERVICE, self.now] = (1, 0)
            rows |= {(api, self.now): given for api, given in counts.items()}
            self.now += 60
        await self.run(counting.write, counts=rows)

    async def watch(self) -> list[Incident]:
        """What the one that watches does ten seconds after the last minute."""
        at = self.now + watching.SETTLE_SECONDS
        while not await self.run(rolling.roll, now=at):
            continue
        return await self.run(watching.watch, objective=99.9, now=at)

    async def spans(self, width: int) -> dict[tuple[str, int], Mapping[str, Any]]:
        def read(connection: Connection) -> dict[tuple[str, int], Mapping[str, Any]]:
            query = select(status_span).where(status_span.c.width == width)
            return {(row.api, row.start): row._mapping for row in connection.execute(query)}

        return await self.run(read)

    async def counted(self) -> dict[tuple[str, int], tuple[int, int]]:
        def read(connection: Connection) -> dict[tuple[str, int], tuple[int, int]]:
            return {
                (row.api, row.start): (row.good, row.bad) for row in connection.execute(select(status_minute))
            }

        return await self.run(read)

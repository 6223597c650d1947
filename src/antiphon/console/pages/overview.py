"""The first page: how things are, what was asked lately and what it cost, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial

import msgspec

from antiphon.access.api_key import Realm
from antiphon.api.exchange import Exchange
from antiphon.api.routes import Route
from antiphon.console import reports
from antiphon.console.pages.logs import WORDS
from antiphon.console.reports import Asked
from antiphon.console.services import Pages
from antiphon.console.written import counted
from antiphon.ledger.request_log import LogQuery, logged
from antiphon.ledger.usage import costs, usage

DAYS = 14
"""Whose requests are drawn."""
_LATEST = 5
_HEIGHT = 40


class Bar(msgspec.Struct, frozen=True):
    """A day: where it begins, how high it is, and what it says."""

    x: int
    height: int
    words: str


class OverviewPage(Pages):
    def rows(self) -> list[Route]:
        return [self._shell.page("/", self.overview, "org.read", "What there is, and what to do next.")]

    async def overview(self, exchange: Exchange) -> None:
        services, organization_id = self._services, exchange.known_caller.organization_id
        projects = (await services.access.projects.list(organization_id, limit=100)).data
        realms = [Realm(organization_id, project.id) for project in projects]
        keys = [key for realm in realms for key in (await services.access.keys.list(realm, limit=100)).data]
        aliases = [one for one in services.listing() if one.means]
        requests, spent = await self._lately(organization_id)
        query = LogQuery(organization_id=organization_id, limit=_LATEST)
        async with services.database.connect() as connection:
            latest = await connection.run_sync(partial(logged, query=query))
        await self._shell.show(
            exchange,
            "overview.html",
            aliases=aliases,
            chat=next((one.name for one in aliases if one.task == "chat"), ""),
            keys=len(keys),
            projects=len(projects),
            status=await services.status(),
            address=self._shell.address(exchange),
            requests=sum(count for _, count in requests),
            bars=bars(requests),
            days=DAYS,
            spent=spent,
            latest=latest.data,
            words=WORDS,
        )

    async def _lately(self, organization_id: str) -> tuple[Sequence[tuple[str, int]], int]:
        """How many requests each of the last days had, and what this month cost, in nano-dollars."""
        today = reports.today(self._services.clock())
        lately = Asked(range="custom", first=today - timedelta(DAYS - 1), last=today, by="day", group="")
        month = Asked(range="month", first=today.replace(day=1), last=today, by="day", group="")
        database = self._services.database
        used = await reports.read(database, organization_id, lately, usage)
        paid = await reports.read(database, organization_id, month, costs)
        days = [(lately.when(one.start), sum(each.requests for each in one.results)) for one in used.buckets]
        return days, sum(each.amount for one in paid.buckets for each in one.results)


def bars(days: Sequence[tuple[str, int]]) -> list[Bar]:
    """Days and their requests as bars beside each other, the highest as high as there is room."""
    most = max((count for _, count in days), default=0) or 1
    return [
        Bar(at * 8, max(1, count * _HEIGHT // most), f"{day}: {counted(count, 'request')}")
        for at, (day, count) in enumerate(days)
    ]

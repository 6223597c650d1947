"""What the pages of usage and costs share: which days, in which groups, and how all of it is read."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from itertools import count
from typing import Any, ClassVar, Generic, Literal, TypeVar, cast, get_args
from urllib.parse import urlencode

import msgspec
from sqlalchemy import Connection

from antiphon.access.names import names
from antiphon.api import query
from antiphon.api.exchange import Exchange
from antiphon.api.routes import Route
from antiphon.console.services import Pages
from antiphon.console.tables import answer_csv
from antiphon.errors import InvalidRequest
from antiphon.ledger.buckets import SECONDS, Bucket, Group, Page, Query, Width
from antiphon.ledger.usage import first_used
from antiphon.storage.database import Database

Days = Literal["1", "7", "30", "90", "month", "custom"]
GROUPS: Mapping[str, tuple[Group, str]] = {
    "model": ("model", "Model"),
    "project": ("project_id", "Project"),
    "key": ("api_key_id", "Key"),
    "member": ("user_id", "Member"),
    "item": ("line_item", "Line item"),
}
"""By what people call it: what the books group by, and its heading."""
MOST_DAYS = 366
HOURLY_DAYS = 7
"""The longest time that is shown by the hour; a single day always is."""
LEAST_PLACES: Mapping[str, int] = {"day": 7, "hour": 24}
"""What a plot shows at least: a bar that fills it says nothing."""
NOBODYS_LOOK = 7
NOBODY = {
    "project_id": "dedicated instances, of no project",
    "api_key_id": "dedicated instances, of no key",
    "user_id": "service accounts and the operator’s keys",
}
"""What is said where the books name none."""

R = TypeVar("R")
Ask = Callable[[Connection, Query], Page[R]]


class _Said(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The query string of a report."""

    range: Days = "30"
    first: str = msgspec.field(name="from", default="")
    last: str = msgspec.field(name="to", default="")
    by: Literal["day", "hour"] = "day"
    group: Literal["", "model", "project", "key", "member", "item"] = ""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The days from `first` to `last`, both of them whole and in UTC; `group` is one of `GROUPS` or empty."""

    range: Days
    first: date
    last: date
    by: Literal["day", "hour"]
    group: str

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    @property
    def hourly(self) -> bool:
        """Whether there is a choice of days or hours."""
        return 1 < self.days <= HOURLY_DAYS

    @property
    def span(self) -> str:
        """As a sentence ends with it."""
        return f"on {self.first}" if self.days == 1 else f"from {self.first} to {self.last}"

    @property
    def heading(self) -> str:
        return GROUPS[self.group][1] if self.group else ""

    def link(self, **changes: str) -> str:
        """The query string of the same report but for this; other days than these are no custom ones."""
        by = "day" if self.days == 1 else self.by
        said = {"range": self.range, "by": by, "group": self.group} | changes
        if said["range"] == "custom":
            said |= {"from": self.first.isoformat(), "to": self.last.isoformat()}
        return urlencode({name: value for name, value in said.items() if value})

    def when(self, start: int) -> str:
        """The beginning of a bucket, as `2026-11-01` or `2026-11-01 13:00`."""
        begin = datetime.fromtimestamp(start, UTC)
        return f"{begin:%Y-%m-%d}" if self.by == "day" else f"{begin:%Y-%m-%d %H:%M}"

    def query(self, organization_id: str) -> Query:
        width: Width = "1d" if self.by == "day" else "1h"
        return Query(
            organization_id=organization_id,
            start=_midnight(self.first),
            end=_midnight(self.last + timedelta(1)),
            width=width,
            group_by=(GROUPS[self.group][0],) if self.group else (),
            limit=31 if width == "1d" else 24,
        )


class Report(msgspec.Struct, Generic[R], frozen=True):
    """Every bucket, the empty ones too, and how the groups in it are called, by id."""

    buckets: Sequence[Bucket[R]]
    called: Mapping[str, str]
    kind: str
    """What it is grouped by, as the books say it; empty if by nothing."""
    order: Sequence[str] = ()
    """Of the groups, each in its place, whichever others there are in these days: their ids."""

    def group(self, result: R) -> str:
        """How the group of a result is called: empty where there are no groups."""
        return self._name(cast("str | None", getattr(result, self.kind))) if self.kind else ""

    @property
    def looks(self) -> dict[str, int]:
        """What each group is drawn in, by its name."""
        own = (number for number in count() if number != NOBODYS_LOOK)
        return {self._name(None): NOBODYS_LOOK} | {
            self._name(id): number for id, number in zip(self.order, own, strict=False)
        }

    def _name(self, id: str | None) -> str:
        return NOBODY.get(self.kind, "other") if id is None else self.called.get(id, id)


def places(asked: Asked, report: Report[R]) -> list[str]:
    """What a plot has on its axis: the buckets from the first one on in which there is something."""
    used = next((number for number, one in enumerate(report.buckets) if one.results), 0)
    first = max(0, min(used, len(report.buckets) - LEAST_PLACES[asked.by]))
    return [asked.when(bucket.start) for bucket in report.buckets[first:]]


class ReportPages(Pages, Generic[R]):
    """A page of what the books say of some days, and the same as CSV."""

    name: ClassVar[str]
    tells: ClassVar[str]
    groups: ClassVar[Sequence[str]]
    """What it may be grouped by."""

    def rows(self) -> list[Route]:
        page = self._shell.page
        return [
            page(f"/{self.name}", self.page, "org.read", f"{self.tells}."),
            page(f"/{self.name}/table.csv", self.table, "org.read", f"{self.tells}, as CSV."),
        ]

    @abstractmethod
    def ask(self, connection: Connection, query: Query) -> Page[R]: ...

    @abstractmethod
    async def page(self, exchange: Exchange) -> None: ...

    @abstractmethod
    async def table(self, exchange: Exchange) -> None: ...

    async def _read(self, exchange: Exchange) -> tuple[Asked, Report[R]]:
        wanted = asked(exchange, self._services.clock(), self.groups)
        organization_id = exchange.known_caller.organization_id
        return wanted, await read(self._services.database, organization_id, wanted, self.ask)

    async def _show(self, exchange: Exchange, asked: Asked, **values: Any) -> None:
        """The page, with what there is to choose from."""
        groupings = [("", "Everything"), *((name, GROUPS[name][1]) for name in self.groups)]
        values |= {"asked": asked, "ranges": ranges(), "groupings": groupings}
        await self._shell.show(exchange, f"{self.name}.html", **values)

    async def _answer_csv(
        self, exchange: Exchange, asked: Asked, headings: Sequence[str], lines: Iterable[Sequence[object]]
    ) -> None:
        """Lines that begin with when, and the group if there is one; `headings` are those of the rest."""
        grouped = [asked.heading] if asked.group else []
        every = ["Day" if asked.by == "day" else "Hour (UTC)", *grouped, *headings]
        await answer_csv(exchange, f"{self.name}-{asked.first}-{asked.last}.csv", every, lines)


def asked(exchange: Exchange, now: float, groups: Collection[str]) -> Asked:
    """What the address asks for; `groups` are those that this report knows. Raises `InvalidRequest`."""
    said = query.read(exchange, _Said)
    if said.group and said.group not in groups:
        raise InvalidRequest(f"'group' must be one of {', '.join(groups)}.", param="group")
    first, last = _days(said, today(now))
    hourly = last == first or (said.by == "hour" and (last - first).days < HOURLY_DAYS)
    return Asked(range=said.range, first=first, last=last, by="hour" if hourly else "day", group=said.group)


async def read(database: Database, organization_id: str, asked: Asked, ask: Ask[R]) -> Report[R]:
    """Everything that `ask` says of these days. Raises `InvalidRequest` if that is too much to show."""
    wanted = asked.query(organization_id)
    kind = wanted.group_by[0] if wanted.group_by else ""
    async with database.connect() as connection:
        buckets = await connection.run_sync(_every, wanted, ask)
        if not kind:
            return Report(buckets, {}, kind)
        ids = {id for one in buckets for result in one.results if (id := getattr(result, kind)) is not None}
        known = partial(names, organization_id=organization_id, kind=kind, ids=ids)
        since = wanted.end - MOST_DAYS * SECONDS["1d"]
        order = await connection.run_sync(first_used, organization_id, wanted.group_by[0], since)
        return Report(
            buckets, await connection.run_sync(known), kind, [*order, *sorted(ids.difference(order))]
        )


def today(now: float) -> date:
    """The day of UTC that a moment is in, in unix seconds."""
    return datetime.fromtimestamp(now, UTC).date()


def ranges() -> dict[Days, str]:
    """The choices of days, as people read them."""
    labels = ("Today", "7 days", "30 days", "90 days", "This month", "Custom")
    return dict(zip(get_args(Days), labels, strict=True))


def _every(connection: Connection, wanted: Query, ask: Ask[R]) -> list[Bucket[R]]:
    found: list[Bucket[R]] = []
    while True:
        page: Any = ask(connection, wanted)
        found += page.data
        if page.next_page is None:
            return found
        wanted = msgspec.structs.replace(wanted, page=page.next_page)


def _days(said: _Said, today: date) -> tuple[date, date]:
    if said.range == "month":
        return today.replace(day=1), today
    if said.range != "custom":
        return today - timedelta(int(said.range) - 1), today
    first, last = _day("from", said.first), _day("to", said.last)
    if last < first:
        raise InvalidRequest("The last day is before the first.", param="to")
    if (last - first).days >= MOST_DAYS:
        raise InvalidRequest(f"At most {MOST_DAYS} days are shown at once.", param="from")
    return first, last


def _day(param: str, text: str) -> date:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise InvalidRequest(f"'{param}' must be a day like 2026-11-01.", param=param) from None
    if not 1970 <= found.year <= 9998:
        raise InvalidRequest(f"'{param}' must be a day from 1970 on.", param=param)
    return found


def _midnight(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp())

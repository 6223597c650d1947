"""What the operator's commands share: the services over this machine's database, and lists in three forms."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Protocol, TypeVar

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from antiphon import settings
from antiphon.cli.output import CommandFailed, ExitCode

if TYPE_CHECKING:
    from antiphon.access.access import Access
    from antiphon.access.paging import Page
    from antiphon.catalogue.catalogue import Catalogue
    from antiphon.moderation.thresholds import ThresholdStore
    from antiphon.operations.dedicated import Dedicated
    from antiphon.operations.moderating import Moderating
    from antiphon.storage.database import Database


class _Identified(Protocol):
    @property
    def id(self) -> str: ...


T = TypeVar("T", bound=_Identified)
R = TypeVar("R")

PIPE_WIDTH = 400
PAGE = 100
STATEMENT_SECONDS = 600.0
"""Longest that one statement may take: a proof of the books reads all of them."""

Csv = Annotated[bool, typer.Option("--csv", help="Print CSV, for spreadsheets.")]
Organization = Annotated[str, typer.Option("--org", help="The organization, by name or id.")]


@asynccontextmanager
async def opened(home: str | None) -> AsyncIterator[Access]:
    """The services over the database of this data folder, as the operator, who may do everything."""
    async with opened_database(home) as (access, _):
        yield access


@asynccontextmanager
async def opened_database(home: str | None) -> AsyncIterator[tuple[Access, Database]]:
    """The services as `opened` gives them, and their database, whose statements may take minutes."""
    # Imported here, since every other command starts without a database.
    from antiphon.access.access import opened as access_over
    from antiphon.access.pepper import connected
    from antiphon.storage.migrations import upgrade

    chosen = settings.load({"home": home})
    async with await connected(chosen.database_url, chosen.home_path, STATEMENT_SECONDS) as database:
        await upgrade(database)
        access = await access_over(database, chosen.home_path)
        await access.organizations.ensure_default()
        yield access, database


def acted(home: str | None, type: str, payload: Mapping[str, Any], act: Callable[[], R]) -> R:
    """Do something to the data folder's files, and say so in the audit log of the installation.

    What fails is not logged. `type` and `payload` as `storage.audit.record` has them.
    """

    async def run() -> R:
        from antiphon.storage.audit import record

        async with opened_database(home) as (_, database), database.begin() as connection:
            await record(connection, type, payload, organization_id=None, by=None, now=time.time())
            return await asyncio.to_thread(act)

    return asyncio.run(run())


class House(NamedTuple):
    """What commands about dedicated instances need, and the id of the organization that they are about."""

    access: Access
    database: Database
    catalogue: Catalogue
    dedicated: Dedicated
    organization_id: str
    home: Path


@asynccontextmanager
async def opened_house(home: str | None, org: str) -> AsyncIterator[House]:
    """The services over the database and the catalogue of this data folder."""
    from antiphon.catalogue.changes import Changes
    from antiphon.catalogue.live import changed
    from antiphon.operations.dedicated import Dedicated

    chosen = settings.load({"home": home})
    async with opened_database(home) as (access, database):
        catalogue = await changed(chosen.home_path, Changes(database))
        organization = await access.organizations.find(org)
        dedicated = Dedicated(database, lambda: catalogue, chosen, time.time)
        yield House(access, database, catalogue, dedicated, organization.id, chosen.home_path)


class Watch(NamedTuple):
    """What commands about moderation need."""

    access: Access
    moderating: Moderating
    thresholds: ThresholdStore


@asynccontextmanager
async def opened_moderation(home: str | None) -> AsyncIterator[Watch]:
    """The services over the database of this data folder."""
    from antiphon.moderation.thresholds import ThresholdStore
    from antiphon.operations.moderating import Moderating

    async with opened_database(home) as (access, database):
        yield Watch(access, Moderating(database, time.time), ThresholdStore(database, time.time))


async def every(fetch: Callable[[str | None], Awaitable[Page[T]]]) -> list[T]:
    """All pages of a list; `fetch` gets the id to go on after."""
    found: list[T] = []
    after: str | None = None
    while True:
        page = await fetch(after)
        found += page.data
        if not page.has_more:
            return found
        after = page.data[-1].id


def show(
    rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], *, as_json: bool, as_csv: bool
) -> None:
    """Print rows as JSON (whole), or the named columns of each as CSV or as a table with these headings.

    Fields whose name ends in `_at` are unix seconds, shown as days in the table.
    """
    if as_json and as_csv:
        raise CommandFailed("give --json or --csv, not both", exit_code=ExitCode.USAGE)
    if as_json:
        typer.echo(json.dumps(rows))
    elif as_csv:
        typer.echo(_csv(rows, list(columns)), nl=False)
    else:
        # A pipe has no width: nothing is folded for it.
        console = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)
        console.print(_table(rows, columns))


def _csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(row[name]) for name in columns] for row in rows)
    return text.getvalue()


def _cell(value: Any) -> Any:
    """A value that no spreadsheet takes for a formula: names are chosen by others."""
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{value}"
    return value


def _table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name, heading in columns.items():
        table.add_column(heading, no_wrap=name not in ("name", "project"), overflow="fold")
    for row in rows:
        # Text, since a name may look like rich's markup.
        table.add_row(*(Text(_shown(name, row[name])) for name in columns))
    return table


def _shown(name: str, value: Any) -> str:
    if value is None:
        return "never" if name.endswith("_at") else ""
    if name.endswith("_at"):
        return datetime.fromtimestamp(value, UTC).date().isoformat()
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)

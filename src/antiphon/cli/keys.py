"""`antiphon keys`: make, list and revoke API keys, beside a running server or before its first start."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from antiphon import settings
from antiphon.errors import NotFound

if TYPE_CHECKING:
    from antiphon.access.keys import ApiKey, Keys

DAY_SECONDS = 86_400
PIPE_WIDTH = 400

keys = typer.Typer(help="Make, list and revoke API keys.", no_args_is_help=True)

Home = Annotated[str | None, typer.Option(help="Data folder; default as for `antiphon serve`.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


@keys.command()
def create(
    name: Annotated[str, typer.Option(help="What the key is for.")] = "key",
    project: Annotated[
        str, typer.Option(help="The project it belongs to; made if it does not exist.")
    ] = "default",
    expires_days: Annotated[
        int | None, typer.Option(min=1, max=36_500, help="Days until it expires; never, if not given.")
    ] = None,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Make a key and print it, this once: only a hash of it is stored."""
    expires = None if expires_days is None else int(time.time()) + expires_days * DAY_SECONDS

    async def run() -> tuple[ApiKey, str]:
        async with _opened(home) as opened:
            return await opened.create(project, name, expires)

    key, secret = asyncio.run(run())
    if as_json:
        typer.echo(json.dumps({"id": key.id, "value": secret}))
    else:
        typer.echo(secret)
        typer.echo(f"{key.id} in project {key.project}. It is not shown again.", err=True)


@keys.command("list")
def list_keys(as_json: Json = False, home: Home = None) -> None:
    """List every key, the revoked and expired ones too."""

    async def run() -> Sequence[ApiKey]:
        async with _opened(home) as opened:
            return await opened.list()

    found = asyncio.run(run())
    if as_json:
        now = time.time()
        typer.echo(json.dumps([msgspec.structs.asdict(key) | {"state": key.state(now)} for key in found]))
    else:
        # A pipe has no width: nothing is folded for it.
        Console(width=None if sys.stdout.isatty() else PIPE_WIDTH).print(_table(found, time.time()))


@keys.command()
def revoke(
    key_id: Annotated[
        str, typer.Argument(metavar="ID", help="The key's id, as `antiphon keys list` shows it.")
    ],
    home: Home = None,
) -> None:
    """Revoke a key: within a second a running server refuses it."""

    async def run() -> None:
        async with _opened(home) as opened:
            await opened.revoke(key_id)

    try:
        asyncio.run(run())
    except NotFound as problem:
        typer.echo(f"antiphon: {problem.message}", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"{key_id} is revoked.")


@asynccontextmanager
async def _opened(home: str | None) -> AsyncIterator[Keys]:
    # Imported here, since every other command starts without a database.
    from antiphon.access.keys import Keys
    from antiphon.access.pepper import load_pepper
    from antiphon.storage.database import Database
    from antiphon.storage.migrations import upgrade

    chosen = settings.load({"home": home})
    async with Database(chosen.database_url) as database:
        await upgrade(database)
        yield Keys(database, await asyncio.to_thread(load_pepper, chosen.home_path))


def _table(found: Sequence[ApiKey], now: float) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("ID", "Name", "Project", "Key", "Created", "Last used", "State"):
        table.add_column(heading, no_wrap=heading not in ("Name", "Project"), overflow="fold")
    for key in found:
        used = "never" if key.last_used_at is None else _day(key.last_used_at)
        cells = (key.id, key.name, key.project, key.redacted, _day(key.created_at), used, key.state(now))
        # Text, since a name may look like rich's markup.
        table.add_row(*map(Text, cells))
    return table


def _day(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).date().isoformat()

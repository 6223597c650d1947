"""`antiphon db`: the database's revision, and how to bring it to this version's."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import typer

from antiphon import settings
from antiphon.cli.options import ExistingHome, Home, Json
from antiphon.cli.output import CommandFailed

if TYPE_CHECKING:
    from antiphon.storage.migrations import State

db = typer.Typer(help="Look at the database's tables, and upgrade them.", no_args_is_help=True)


@db.command()
def status(as_json: Json = False, home: ExistingHome = None) -> None:
    """Show the database's revision beside the one that this version needs; exit code 1 if they differ."""
    address, found = asyncio.run(_looked_at(home))
    _print(address, found, as_json)
    if not found.current:
        raise CommandFailed("the database is not at this version's revision", fix="antiphon db upgrade")


@db.command()
def upgrade(as_json: Json = False, home: Home = None) -> None:
    """Bring the database to this version's tables, all of it or nothing. `antiphon serve` does it too.

    Any number of processes may do it at once. Stop the servers of an older version first, and make a backup.
    """
    address, found = asyncio.run(_looked_at(home, upgraded=True))
    _print(address, found, as_json)


async def _looked_at(home: str | None, upgraded: bool = False) -> tuple[str, State]:
    from antiphon.access.pepper import connected
    from antiphon.storage import migrations

    chosen = settings.load({"home": home})
    async with await connected(chosen.database_url, chosen.home_path) as database:
        if upgraded:
            await migrations.upgrade(database)
        return database.address, await migrations.state(database)


def _print(address: str, found: State, as_json: bool) -> None:
    if as_json:
        shown = {
            "database": address,
            "revision": found.revision,
            "head": found.head,
            "missing": found.missing,
        }
        typer.echo(json.dumps(shown))
        return
    typer.echo(address)
    typer.echo(f"revision {found.revision or 'none'}, this version's is {found.head}")
    if found.missing:
        typer.echo(f"missing: {', '.join(found.missing)}")

"""`antiphon models switch` and others: what aliases mean, and when snapshots end, changed as servers run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from antiphon import settings
from antiphon.catalogue.catalogue import Catalogue
from antiphon.catalogue.entries import Ending
from antiphon.catalogue.fitting import fitting, known, require_alias, require_replacement
from antiphon.catalogue.store import ModelStore
from antiphon.cli.administration import Csv, opened_database, show
from antiphon.cli.models import prepare
from antiphon.cli.moments import moment, written
from antiphon.cli.options import ExistingHome, Home, Json
from antiphon.cli.output import CommandFailed, ExitCode
from antiphon.errors import ConfigurationError

if TYPE_CHECKING:
    from antiphon.catalogue.changes import Changes
    from antiphon.storage.database import Database

_COLUMNS = {
    "id": "ID",
    "what": "What",
    "name": "Name",
    "to": "Means, or use instead",
    "since": "Since",
    "state": "State",
    "notes": "Notes",
}
_USERS = {
    "organization": "Organization",
    "project": "Project",
    "key_id": "Key",
    "requests": "Requests",
    "last_at": "Last used",
}
_DAY = 86_400
_SOON = "A server that runs moves new requests to it as soon as it is ready; others end where they are."

Alias = Annotated[str, typer.Argument(metavar="ALIAS", help="The name that clients ask for.")]
Notes = Annotated[str, typer.Option(help="What its users are told of it.")]


def switch(
    alias: Alias,
    snapshot: Annotated[str, typer.Argument(metavar="SNAPSHOT", help="What it is to mean, by its dated id.")],
    when: Annotated[
        str, typer.Option("--at", metavar="WHEN", help="A day (UTC), or a time as 2026-12-01T09:00+01:00.")
    ] = "",
    notes: Notes = "",
    home: Home = None,
) -> None:
    """Let an alias mean another snapshot, now or at a time that is announced from now on."""
    at = moment(when, fix="leave --at out to switch now") if when else None

    async def run() -> None:
        async with _opened(home) as (changes, catalogue, _):
            entry = fitting(catalogue, alias, snapshot)
            chosen = settings.load({"home": home})
            await asyncio.to_thread(prepare, ModelStore(chosen.home_path), entry, chosen)
            made = await changes.switch(alias, snapshot, at, notes)
        told = f"{alias} means {snapshot}" + (f" from {written(made.at)} on." if when else ".")
        typer.echo(f"{told} {_SOON if not when else f'`antiphon models cancel {made.id}` calls it off.'}")

    asyncio.run(run())


def rollback(alias: Alias, notes: Notes = "", home: Home = None) -> None:
    """Let an alias mean again what it meant before its last change."""

    async def run() -> None:
        async with _opened(home) as (changes, catalogue, _):
            require_alias(catalogue, alias)
            past = [one.snapshot for one in catalogue.past(alias)]
            before = next((one for one in reversed(past) if one != past[-1]), None)
            if before is None:
                raise ConfigurationError(
                    f"'{alias}' has never meant anything but '{past[-1]}'", fix="see antiphon models changes"
                )
            fitting(catalogue, alias, before)
            await changes.switch(alias, before, notes=notes)
        typer.echo(f"{alias} means {before} again. {_SOON}")

    asyncio.run(run())


def retire(
    snapshot: Annotated[str, typer.Argument(metavar="SNAPSHOT", help="What is to end, by its dated id.")],
    on: Annotated[str, typer.Option(metavar="DAY", help="From the beginning of this day (UTC) on.")],
    replacement: Annotated[str, typer.Option(help="The model that its users are told to use instead.")] = "",
    home: Home = None,
) -> None:
    """Announce the end of a snapshot: answers tell it in their headers, and from the day on it is refused."""
    day = _day(on)

    async def run() -> None:
        async with _opened(home) as (changes, catalogue, _):
            known(catalogue, snapshot)
            if replacement:
                require_replacement(catalogue, snapshot, replacement)
            ending = Ending(
                snapshot=snapshot, deprecated=catalogue.today, shutdown=day, replacement=replacement
            )
            await changes.end(ending)
        typer.echo(f"{snapshot} ends on {day}. `antiphon models keep {snapshot}` calls it off.")
        if not replacement:
            for alias in (name for name in catalogue.aliases if catalogue.meaning(name) == snapshot):
                typer.echo(f"Unless it is switched before, {alias} means nothing from then on.")

    asyncio.run(run())


def keep(
    snapshot: Annotated[str, typer.Argument(metavar="SNAPSHOT", help="The snapshot, by its dated id.")],
    home: Home = None,
) -> None:
    """Call off the end of a snapshot that `retire` announced."""

    async def run() -> None:
        async with _opened(home) as (changes, *_):
            await changes.keep(snapshot)
        typer.echo(f"{snapshot} ends when models.toml says, if it does.")

    asyncio.run(run())


def cancel(
    change: Annotated[str, typer.Argument(metavar="ID", help="As antiphon models changes shows it.")],
    home: ExistingHome = None,
) -> None:
    """Call off a switch that was announced and has not happened."""

    async def run() -> None:
        async with _opened(home) as (changes, *_):
            await changes.cancel(change)
        typer.echo(f"{change} is called off.")

    asyncio.run(run())


def list_changes(as_json: Json = False, as_csv: Csv = False, home: ExistingHome = None) -> None:
    """List what aliases have meant and will mean, and which snapshots end."""

    async def run() -> list[dict[str, Any]]:
        async with _opened(home) as (changes, catalogue, _):
            switches, *_ = await changes.all()
        return [*_meant(catalogue, {(one.alias, one.at): one.id for one in switches}), *_ending(catalogue)]

    show(asyncio.run(run()), _COLUMNS, as_json=as_json, as_csv=as_csv)


def users(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A snapshot, or an alias for what it means.")],
    days: Annotated[int, typer.Option(min=1, max=3650, help="How far to look back.")] = 30,
    as_json: Json = False,
    as_csv: Csv = False,
    home: ExistingHome = None,
) -> None:
    """List who used a snapshot, by any of its names: whom to tell before it ends."""
    # Imported here, since every other command starts without a database.
    from antiphon.ledger.users import users as used

    async def run() -> list[dict[str, Any]]:
        async with _opened(home) as (_, catalogue, database):
            snapshot = catalogue.meaning(model) if model in catalogue.aliases else model
            known(catalogue, snapshot)
            since = int(time.time()) - days * _DAY
            async with database.connect() as connection:
                found = await connection.run_sync(used, snapshot, since)
        return [msgspec.structs.asdict(one) for one in found]

    show(asyncio.run(run()), _USERS, as_json=as_json, as_csv=as_csv)


def _meant(catalogue: Catalogue, ids: dict[tuple[str, int], str]) -> list[dict[str, Any]]:
    rows = []
    for alias in catalogue.aliases:
        past, coming = catalogue.past(alias), catalogue.coming(alias)
        for meaning in [*past, *coming]:
            if meaning.since == 0 and len(past) + len(coming) == 1:
                continue  # it has always meant this, and will
            state = "coming" if meaning in coming else "now" if meaning is past[-1] else "over"
            rows.append(
                {
                    "id": ids.get((alias, meaning.since), ""),
                    "what": "alias",
                    "name": alias,
                    "to": meaning.snapshot,
                    "since": written(meaning.since) if meaning.since else "",
                    "state": state,
                    "notes": meaning.notes,
                }
            )
    return rows


def _ending(catalogue: Catalogue) -> list[dict[str, Any]]:
    return [
        {
            "id": "",
            "what": "end",
            "name": id,
            "to": entry.replacement,
            "since": f"{entry.shutdown}",
            "state": "over" if id in catalogue.ended else "coming",
            "notes": "",
        }
        for id, entry in catalogue.entries.items()
        if entry.shutdown
    ]


@asynccontextmanager
async def _opened(home: str | None) -> AsyncIterator[tuple[Changes, Catalogue, Database]]:
    """What was changed, the catalogue as a server knows it, and the database of both."""
    # Imported here, since every other command starts without a database.
    from antiphon.catalogue.changes import Changes
    from antiphon.catalogue.live import changed

    folder: Path = settings.load({"home": home}).home_path
    async with opened_database(home) as (_, database):
        changes = Changes(database)
        yield changes, await changed(folder, changes), database


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise CommandFailed(
            f"'{text}' is no day", fix="write it as 2026-12-01", exit_code=ExitCode.USAGE
        ) from None


COMMANDS: Mapping[str, Callable[..., None]] = {
    "switch": switch,
    "rollback": rollback,
    "changes": list_changes,
    "cancel": cancel,
    "retire": retire,
    "keep": keep,
    "users": users,
}
"""What `antiphon models` has of this module."""

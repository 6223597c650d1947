"""`antiphon status`: how well requests are answered, and incidents, for the operator."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from antiphon import settings
from antiphon.cli.administration import Csv, opened_database, show
from antiphon.cli.moments import moment, written
from antiphon.cli.options import ExistingHome, Home, Json
from antiphon.cli.output import CommandFailed, ExitCode

if TYPE_CHECKING:
    from antiphon.operations.incidents import Incidents
    from antiphon.status.incidents import Incident

status = typer.Typer(help="How well requests are answered, and incidents.", no_args_is_help=True)
incidents = typer.Typer(help="Incidents and announced maintenance.", no_args_is_help=True)
status.add_typer(incidents, name="incidents")

_MOST = 1000
_APIS = {
    "name": "API",
    "state": "State",
    "24h": "24 hours %",
    "7d": "7 days %",
    "30d": "30 days %",
    "90d": "90 days %",
    "budget": "Budget left %",
    "alert": "Alert",
    "probe": "Last probe",
}
_INCIDENTS = {
    "id": "ID",
    "kind": "Kind",
    "api": "API",
    "title": "Title",
    "state": "State",
    "opened": "Opened",
    "resolved": "Resolved",
    "last": "Last note",
}
Id = Annotated[str, typer.Argument(help="The incident, by its id.")]
Text = Annotated[str, typer.Argument(help="What everybody reads of it.")]


@status.command("show")
def show_status(as_json: Json = False, as_csv: Csv = False, home: ExistingHome = None) -> None:
    """Show the state, the uptime and the error budget of each API, as the status page does."""

    async def run() -> Any:
        async with _opened(home) as service:
            return await service.status()

    found = asyncio.run(run())
    if as_json and not as_csv:
        typer.echo(msgspec.json.encode(found))
        return
    rows = [_api(api) for api in found.apis]
    show(rows, _APIS, as_json=as_json, as_csv=as_csv)


@incidents.command("list")
def list_incidents(as_json: Json = False, as_csv: Csv = False, home: ExistingHome = None) -> None:
    """List incidents, the newest first."""

    async def run() -> list[Incident]:
        async with _opened(home) as service:
            return (await service.listed(limit=_MOST))[0]

    now = int(time.time())
    rows = [_row(one, now) for one in asyncio.run(run())]
    show(rows, _INCIDENTS, as_json=as_json, as_csv=as_csv)


@incidents.command("open")
def open_incident(
    title: Annotated[str, typer.Argument(help="In a few words.")],
    text: Text,
    api: Annotated[
        str, typer.Option(help="chat, speech, embeddings, moderation or administration; by default all.")
    ] = "",
    begin: Annotated[
        str | None, typer.Option("--from", help="Of maintenance: a day (UTC), or a time with its zone.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="As --from.")] = None,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Open an incident, or announce maintenance with --from and --until, and print its id.

    Maintenance that is announced before it begins does not count as downtime.
    """
    from antiphon.status.incidents import New

    if (begin is None) != (until is None):
        raise CommandFailed("give both --from and --until", exit_code=ExitCode.USAGE)
    new = New(
        title=title,
        text=text,
        api=api,
        begins_at=moment(begin) if begin else None,
        ends_at=moment(until) if until else None,
    )
    made = _changed(home, lambda service: service.open(new, by=None))
    typer.echo(json.dumps(_row(made, int(time.time()))) if as_json else made.id)


@incidents.command("note")
def note_incident(id: Id, text: Text, home: ExistingHome = None) -> None:
    """Add a note to an incident."""
    changed = _changed(home, lambda service: service.note(id, text, by=None))
    typer.echo(f"{changed.id} has {len(changed.notes)} notes.")


@incidents.command("resolve")
def resolve_incident(id: Id, text: Text, home: ExistingHome = None) -> None:
    """Say that an incident is over, or that maintenance ended before its time."""
    changed = _changed(home, lambda service: service.resolve(id, text, by=None))
    typer.echo(f"{changed.id} is resolved.")


def _changed(home: str | None, change: Callable[[Incidents], Awaitable[Incident]]) -> Incident:
    async def run() -> Incident:
        async with _opened(home) as service:
            return await change(service)

    return asyncio.run(run())


@asynccontextmanager
async def _opened(home: str | None) -> AsyncIterator[Incidents]:
    """The service over this machine's database."""
    from antiphon.operations.incidents import Incidents

    objective = settings.load({"home": home}).uptime_objective
    async with opened_database(home) as (_, database):
        yield Incidents(database, objective, time.time)


def _api(api: Any) -> dict[str, Any]:
    probe = "" if api.probe is None else f"{written(api.probe.at)}: {api.probe.reason or 'good'}"
    return {
        "name": api.name,
        "state": api.state,
        **api.uptime,
        "budget": None if api.budget is None else api.budget.left,
        "alert": api.alert,
        "probe": probe,
    }


def _row(one: Incident, now: int) -> dict[str, Any]:
    return {
        "id": one.id,
        "kind": one.kind,
        "api": one.api or "all",
        "title": one.title,
        "state": _state(one, now),
        "opened": written(one.opened_at),
        "from": written(one.begins_at),
        "until": written(one.ends_at),
        "resolved": written(one.resolved_at),
        "last": one.notes[-1].text if one.notes else "",
    }


def _state(one: Incident, now: int) -> str:
    if not one.goes_on(now):
        return "over"
    return "announced" if now < one.begins_at else "open"

"""`antiphon dedicated`: instances that serve one organization alone, for the operator."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from antiphon.cli.administration import PAGE, Csv, Organization, every, opened_house, show
from antiphon.cli.credits import nano
from antiphon.cli.moments import moment, written
from antiphon.cli.options import ExistingHome, Home, Json
from antiphon.cli.output import CommandFailed, ExitCode

if TYPE_CHECKING:
    from antiphon.operations.dedicated import Dedicated, Standing

dedicated = typer.Typer(help="Instances that serve one organization alone.", no_args_is_help=True)

_COLUMNS = {
    "id": "ID",
    "name": "Name",
    "model": "Model",
    "state": "State",
    "ready": "Ready",
    "load": "Load",
    "context_length": "Context",
    "from": "From",
    "until": "Until",
    "price_per_hour": "$/h",
    "cost": "Cost $",
}
_YEAR = 365 * 86_400
_DEAREST = 10**15
"""Nano-dollars an hour."""

Id = Annotated[str, typer.Argument(help="The instance, by its id.")]
Load = Annotated[int | None, typer.Option(help="Requests that each replica serves together.")]
Context = Annotated[int | None, typer.Option(help="Tokens of prompt and answer together, at most.")]
Replicas = Annotated[int | None, typer.Option(help="How many engines it has.")]
Until = Annotated[str | None, typer.Option(help="A day (UTC), or a time with its zone.")]
SpillOver = Annotated[
    bool | None,
    typer.Option("--spill-over/--no-spill-over", help="Requests without a place go to the shared service."),
]


@dedicated.command()
def create(
    model: Annotated[str, typer.Argument(help="A snapshot, or an alias for the one that it means now.")],
    org: Organization = "default",
    name: Annotated[str, typer.Option(help="What it is called; by default as its snapshot.")] = "",
    load: Load = None,
    context: Context = None,
    replicas: Replicas = None,
    begin: Annotated[str | None, typer.Option("--from", help="As --until; by default now.")] = None,
    until: Until = None,
    spill_over: SpillOver = None,
    price: Annotated[
        str | None,
        typer.Option(help="US dollars an hour for each replica; by default what models.toml says."),
    ] = None,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Reserve an instance, if there is room for it, and print its id."""
    from antiphon.operations.orders import Order

    order = Order(
        model=model,
        name=name,
        context=context,
        load=load,
        replicas=1 if replicas is None else replicas,
        begins_at=moment(begin) if begin else None,
        ends_at=moment(until) if until else None,
        spill_over=bool(spill_over),
        price=None if price is None else _price(price),
    )

    async def run() -> Standing:
        async with _opened(home, org) as (service, organization_id):
            return await service.create(organization_id, order, by=None)

    made = asyncio.run(run())
    typer.echo(json.dumps(_row(made)) if as_json else made.instance.id)


@dedicated.command("list")
def list_instances(
    org: Organization = "default", as_json: Json = False, as_csv: Csv = False, home: ExistingHome = None
) -> None:
    """List the instances of an organization, those that are over, too."""

    async def run() -> list[Standing]:
        async with _opened(home, org) as (service, organization_id):
            return await every(lambda after: service.listed(organization_id, after=after, limit=PAGE))

    show([_row(one) for one in asyncio.run(run())], _COLUMNS, as_json=as_json, as_csv=as_csv)


@dedicated.command()
def update(
    id: Id,
    org: Organization = "default",
    name: Annotated[str | None, typer.Option(help="What it is called.")] = None,
    load: Load = None,
    context: Context = None,
    replicas: Replicas = None,
    until: Until = None,
    no_end: Annotated[bool, typer.Option("--no-end", help="It goes on until it is deleted.")] = False,
    spill_over: SpillOver = None,
    home: ExistingHome = None,
) -> None:
    """Change an instance at once: a new size is billed from this second on."""
    from antiphon.operations.orders import Change

    if until and no_end:
        raise CommandFailed("give --until or --no-end, not both", exit_code=ExitCode.USAGE)
    said: dict[str, Any] = {
        "name": name,
        "load": load,
        "context": context,
        "replicas": replicas,
        "spill_over": spill_over,
        "ends_at": moment(until) if until else None,
    }
    change = Change(**{key: value for key, value in said.items() if value is not None})
    if no_end:
        change = msgspec.structs.replace(change, ends_at=None)
    if not change.wanted():
        raise CommandFailed("nothing is to be changed", fix="give --load 8", exit_code=ExitCode.USAGE)

    async def run() -> Standing:
        async with _opened(home, org) as (service, organization_id):
            return await service.update(organization_id, id, change, by=None)

    typer.echo(f"{asyncio.run(run()).instance.id} is changed.")


@dedicated.command()
def delete(id: Id, org: Organization = "default", home: ExistingHome = None) -> None:
    """End an instance now: it costs nothing from this second on."""

    async def run() -> Standing:
        async with _opened(home, org) as (service, organization_id):
            return await service.end(organization_id, id, by=None)

    ended = asyncio.run(run()).instance
    typer.echo(f"{ended.id} ended on {written(ended.ends_at)}.")


@dedicated.command("calendar")
def show_calendar(
    model: Annotated[str, typer.Argument(help="A snapshot or an alias.")],
    until: Until = None,
    as_json: Json = False,
    as_csv: Csv = False,
    home: ExistingHome = None,
) -> None:
    """Show for how many more replicas of a model there is room, and when."""
    begin = int(time.time())
    end = moment(until) if until else begin + _YEAR

    async def run() -> list[dict[str, Any]]:
        async with _opened(home, "default") as (service, _):
            rooms = await service.calendar(model, begin, end)
            return [
                {"from": written(room.begin), "until": written(room.end), "replicas": room.number}
                for room in rooms
            ]

    columns = {"from": "From", "until": "Until", "replicas": "Free replicas"}
    show(asyncio.run(run()), columns, as_json=as_json, as_csv=as_csv)


@asynccontextmanager
async def _opened(home: str | None, org: str) -> AsyncIterator[tuple[Dedicated, str]]:
    """The service over this machine's database, and the id of an organization."""
    async with opened_house(home, org) as house:
        yield house.dedicated, house.organization_id


def _row(standing: Standing) -> dict[str, Any]:
    from antiphon.ledger.usage import dollars

    found, now = standing.instance, time.time()
    return {
        "id": found.id,
        "name": found.name,
        "model": found.snapshot,
        "state": "ended" if found.over(now) else "running" if found.runs(now) else "scheduled",
        "ready": f"{standing.ready}/{found.replicas}",
        "load": found.load,
        "context_length": found.context,
        "spill_over": found.spill_over,
        "server": found.server,
        "from": written(found.begins_at),
        "until": written(found.ends_at),
        "price_per_hour": f"{dollars(standing.price):f}",
        "cost": f"{dollars(standing.cost.charged - standing.cost.credited):f}",
    }


def _price(text: str) -> int:
    """Nano-dollars."""
    price = nano(text)
    if not 0 <= price <= _DEAREST:
        raise CommandFailed("a price must be between $0 and $1,000,000", exit_code=ExitCode.USAGE)
    return price

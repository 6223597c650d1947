"""`antiphon flags`: what monitoring found, what is said against it, and what is decided."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import typer

from antiphon.cli.administration import Csv, Organization, opened_moderation, show
from antiphon.cli.options import ExistingHome, Json

if TYPE_CHECKING:
    from antiphon.moderation.flags import Flag

_COLUMNS = {
    "id": "ID",
    "created_at": "Raised",
    "organization_id": "Organization",
    "category": "Category",
    "score": "Score",
    "action": "Action",
    "status": "Status",
}
Named = Annotated[str, typer.Argument(metavar="FLAG", help="The flag's id.")]

flags = typer.Typer(help="See what monitoring flagged, and decide about it.", no_args_is_help=True)


@flags.command("list")
def list_flags(
    org: Annotated[
        str | None, typer.Option("--org", help="Of this organization alone, by name or id.")
    ] = None,
    status: Annotated[
        Literal["open", "appealed", "resolved"] | None, typer.Option("--status", help="Of this status alone.")
    ] = None,
    category: Annotated[str | None, typer.Option("--category", help="Of this category alone.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="At most so many.")] = 50,
    as_json: Json = False,
    as_csv: Csv = False,
    home: ExistingHome = None,
) -> None:
    """List flags, the newest first."""

    async def run() -> list[Flag]:
        async with opened_moderation(home) as house:
            organization = None if org is None else (await house.access.organizations.find(org)).id
            found, _ = await house.moderating.flags(
                organization, status=status, category=category, limit=limit
            )
            return found

    rows = [_row(found) for found in asyncio.run(run())]
    if not rows and not (as_json or as_csv):
        typer.echo("Nothing is flagged.")
        return
    show(rows, _COLUMNS, as_json=as_json, as_csv=as_csv)


@flags.command("show")
def show_flag(flag: Named, as_json: Json = False, home: ExistingHome = None) -> None:
    """Show one flag: what was found where, what is said against it, what was decided. Never what was
    written."""

    async def run() -> Flag:
        async with opened_moderation(home) as house:
            return await house.moderating.flag(None, flag)

    row = _row(asyncio.run(run()))
    if as_json:
        typer.echo(msgspec.json.encode(row).decode())
        return
    for one in row.pop("findings"):
        row[f"{one['side']}: {one['category']}"] = f"{one['score']:.3f} ({one['scorer']})"
    for name, value in row.items():
        if value not in (None, ""):
            typer.echo(f"{name.replace('_', ' ')}: {value}")


@flags.command()
def resolve(
    flag: Named,
    outcome: Annotated[
        Literal["upheld", "dismissed"],
        typer.Argument(help="`dismissed` takes back what was done because of it."),
    ],
    answer: Annotated[str, typer.Option("--answer", help="In words: an appeal needs one.")] = "",
    home: ExistingHome = None,
) -> None:
    """Decide about a flag, and answer its appeal."""

    async def run() -> Flag:
        async with opened_moderation(home) as house:
            return await house.moderating.resolve(flag, outcome, answer, by=None)

    typer.echo(f"{asyncio.run(run()).id} is {outcome}.")


@flags.command()
def appeal(
    flag: Named,
    text: Annotated[str, typer.Argument(help="Why the flag is wrong.")],
    org: Organization = "default",
    home: ExistingHome = None,
) -> None:
    """Record, for an organization's owner, what is said against one of its flags."""

    async def run() -> Flag:
        async with opened_moderation(home) as house:
            organization = await house.access.organizations.find(org)
            return await house.moderating.appeal(organization.id, flag, text, by=None)

    typer.echo(f"{asyncio.run(run()).id} is appealed against.")


def _row(found: Flag) -> dict[str, Any]:
    row: dict[str, Any] = msgspec.to_builtins(found)
    return row | {"status": found.status}

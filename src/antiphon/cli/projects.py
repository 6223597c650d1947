"""`antiphon projects`: the projects of an organization, for the operator."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from antiphon.cli.administration import PAGE, Csv, Organization, every, opened, show
from antiphon.cli.options import ExistingHome, Home, Json

if TYPE_CHECKING:
    from antiphon.access.projects import Project

_COLUMNS = {"id": "ID", "name": "Name", "created_at": "Created", "archived_at": "Archived"}

projects = typer.Typer(help="Make, list and archive projects.", no_args_is_help=True)


@projects.command()
def create(
    name: Annotated[str, typer.Argument(help="What it is called.")],
    org: Organization = "default",
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Make a project and print its id."""

    async def run() -> Project:
        async with opened(home) as access:
            organization = await access.organizations.find(org)
            return await access.projects.create(organization.id, name, by=None)

    made = asyncio.run(run())
    typer.echo(msgspec.json.encode(made).decode() if as_json else made.id)


@projects.command("list")
def list_projects(
    org: Organization = "default", as_json: Json = False, as_csv: Csv = False, home: ExistingHome = None
) -> None:
    """List the projects of an organization, the archived ones too."""

    async def run() -> list[Project]:
        async with opened(home) as access:
            organization = await access.organizations.find(org)
            return await every(
                lambda after: access.projects.list(
                    organization.id, after=after, limit=PAGE, include_archived=True
                )
            )

    rows = [msgspec.to_builtins(project) for project in asyncio.run(run())]
    show(rows, _COLUMNS, as_json=as_json, as_csv=as_csv)


@projects.command()
def archive(
    name: Annotated[str, typer.Argument(help="The project, by name or id.")],
    org: Organization = "default",
    home: ExistingHome = None,
) -> None:
    """Archive a project for good: within a second a running server refuses its keys."""

    async def run() -> Project:
        async with opened(home) as access:
            organization = await access.organizations.find(org)
            found = await access.projects.find(organization.id, name)
            return await access.projects.archive(organization.id, found.id, by=None)

    typer.echo(f"{asyncio.run(run()).id} is archived.")

"""`antiphon people`: who signs in to the console, for the operator."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import typer
from rich.console import Console

from antiphon import settings
from antiphon.cli.administration import Csv, Organization, opened, show
from antiphon.cli.options import ExistingHome, Home, Json, own_root
from antiphon.errors import InvalidRequest

people = typer.Typer(no_args_is_help=True, help="People who sign in to the console.")
_MINUTES = 15


@people.command("list")
def list_people(as_json: Json = False, as_csv: Csv = False, home: ExistingHome = None) -> None:
    """List the members of all organizations, and whether they can sign in."""

    async def run() -> list[dict[str, Any]]:
        async with opened(home) as access:
            return [
                {
                    "email": one.email,
                    "name": one.name,
                    "organization": one.organization,
                    "role": one.role,
                    "operator": one.operator,
                    "signs_in": one.signs_in,
                }
                for one in await access.people.list()
            ]

    columns = {"email": "Email", "name": "Name", "organization": "Organization", "role": "Role"}
    columns |= {"operator": "Operator", "signs_in": "Has a password"}
    show(asyncio.run(run()), columns, as_json=as_json, as_csv=as_csv)


@people.command()
def link(
    email: Annotated[str, typer.Argument(help="The member's address; none: a new owner's link.")] = "",
    org: Organization = "default",
    minutes: Annotated[int, typer.Option(min=1, max=10080, help="For how long it counts.")] = _MINUTES,
    home: Home = None,
) -> None:
    """Print a link that lets a member set a password and sign in, once."""

    async def run() -> str:
        async with opened(home) as access:
            organization = await access.organizations.find(org)
            member_id = (await access.members.find(organization.id, email)).id if email else None
            return await access.people.link(organization.id, member_id, by=None, seconds=minutes * 60)

    token, chosen = asyncio.run(run()), settings.load({"home": home})
    address = chosen.public_url or own_root(chosen)
    Console(highlight=False, soft_wrap=True).print(f"{address}/sign-in/link?token={token}")


@people.command()
def operator(
    email: Annotated[str, typer.Argument(help="The member's address.")],
    org: Organization = "default",
    off: Annotated[bool, typer.Option("--off", help="From now on not any more.")] = False,
    home: Home = None,
) -> None:
    """Let a member run the installation from the console: all organizations, prices, incidents."""

    async def run() -> None:
        async with opened(home) as access:
            organization = await access.organizations.find(org)
            found = await access.members.find(organization.id, email)
            if not off and found.role != "owner":
                raise InvalidRequest("Only an owner can be made an operator.", param="email")
            await access.people.set_operator(found.id, not off)

    asyncio.run(run())
    Console().print(f"{email} is {'no longer' if off else 'now'} an operator.")

"""`antiphon orgs`: organizations and their members, for the operator."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from antiphon.cli.administration import PAGE, Csv, Organization, every, opened, opened_moderation, show
from antiphon.cli.options import ExistingHome, Home, Json
from antiphon.values import Role

if TYPE_CHECKING:
    from antiphon.access.members import Member
    from antiphon.access.organizations import Organization as Found

_COLUMNS = {"id": "ID", "name": "Name", "created_at": "Created", "prepaid": "Prepaid"}
_MEMBER_COLUMNS = {"id": "ID", "email": "Address", "name": "Name", "role": "Role", "added_at": "Added"}

orgs = typer.Typer(help="Make and list organizations, and their members.", no_args_is_help=True)

Email = Annotated[str, typer.Argument(help="The member's address.")]


@orgs.command()
def create(
    name: Annotated[str, typer.Argument(help="What it is called.")],
    prepaid: Annotated[
        bool, typer.Option("--prepaid", help="It may only spend what it was credited.")
    ] = False,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Make an organization and print its id."""

    async def run() -> Found:
        async with opened(home) as access:
            return await access.organizations.create(name, prepaid=prepaid, by=None)

    made = asyncio.run(run())
    typer.echo(msgspec.json.encode(made).decode() if as_json else made.id)


@orgs.command("list")
def list_organizations(as_json: Json = False, as_csv: Csv = False, home: ExistingHome = None) -> None:
    """List every organization."""

    async def run() -> list[Found]:
        async with opened(home) as access:
            return await every(lambda after: access.organizations.list(after=after, limit=PAGE))

    rows = [msgspec.to_builtins(found) for found in asyncio.run(run())]
    show(rows, _COLUMNS, as_json=as_json, as_csv=as_csv)


@orgs.command()
def members(
    org: Organization = "default", as_json: Json = False, as_csv: Csv = False, home: ExistingHome = None
) -> None:
    """List the members of an organization."""

    async def run() -> list[Member]:
        async with opened(home) as access:
            found = await access.organizations.find(org)
            return await every(lambda after: access.members.list(found.id, after=after, limit=PAGE))

    rows = [msgspec.to_builtins(member) for member in asyncio.run(run())]
    show(rows, _MEMBER_COLUMNS, as_json=as_json, as_csv=as_csv)


@orgs.command()
def add_member(
    email: Email,
    name: Annotated[str, typer.Option(help="The member's name; the address, if not given.")] = "",
    role: Annotated[Role, typer.Option(help="What the member may do.")] = "member",
    org: Organization = "default",
    home: Home = None,
) -> None:
    """Add a member to an organization and print the member's id."""

    async def run() -> Member:
        async with opened(home) as access:
            found = await access.organizations.find(org)
            return await access.members.add(found.id, email, name or email, role, by=None)

    typer.echo(asyncio.run(run()).id)


@orgs.command()
def remove_member(email: Email, org: Organization = "default", home: ExistingHome = None) -> None:
    """Remove a member from an organization, and revoke the member's keys."""

    async def run() -> None:
        async with opened(home) as access:
            found = await access.organizations.find(org)
            member = await access.members.find(found.id, email)
            await access.members.remove(found.id, member.id, by=None)

    asyncio.run(run())
    typer.echo(f"{email} is removed.")


@orgs.command()
def prepaid(
    org: Annotated[str, typer.Argument(help="The organization, by name or id.")],
    on: Annotated[bool, typer.Option("--on/--off", help="Whether it may only spend what it was credited.")],
    home: Home = None,
) -> None:
    """Say whether an organization pays in advance."""

    async def run() -> Found:
        async with opened(home) as access:
            found = await access.organizations.find(org)
            return await access.organizations.update(found.id, prepaid=on, by=None)

    changed = asyncio.run(run())
    typer.echo(f"{changed.name} pays {'in advance' if changed.prepaid else 'afterwards'}.")


@orgs.command()
def suspend(
    org: Annotated[str, typer.Argument(help="The organization, by name or id.")],
    reason: Annotated[str, typer.Option("--reason", help="Why, in words that its owners see.")],
    home: Home = None,
) -> None:
    """Refuse the keys of an organization's projects, from the next half second on; its admin keys stay open.

    Prints the flag against which its owners may appeal.
    """

    async def run() -> str:
        async with opened_moderation(home) as house:
            found = await house.access.organizations.find(org)
            return await house.moderating.suspend(found.id, reason, by=None)

    typer.echo(asyncio.run(run()))


@orgs.command()
def resume(
    org: Annotated[str, typer.Argument(help="The organization, by name or id.")], home: Home = None
) -> None:
    """Let an organization go on that was suspended, or whose rates were divided."""

    async def run() -> bool:
        async with opened_moderation(home) as house:
            found = await house.access.organizations.find(org)
            return await house.moderating.resume(found.id, by=None)

    typer.echo(f"{org} may go on." if asyncio.run(run()) else f"{org} was neither suspended nor throttled.")

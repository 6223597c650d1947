"""`antiphon keys`: make, list, rotate and revoke API keys, beside a running server or before its start."""

from __future__ import annotations

import asyncio
import json
import re
import time
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from antiphon.cli.administration import PAGE, Csv, Organization, every, opened, show
from antiphon.cli.options import ExistingHome, Home, Json
from antiphon.cli.output import CommandFailed, ExitCode
from antiphon.home import home_folder
from antiphon.values import Role

if TYPE_CHECKING:
    from antiphon.access.access import Access
    from antiphon.access.api_key import ApiKey, Realm

DAY_SECONDS = 86_400
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": DAY_SECONDS}
_COLUMNS = {
    "id": "ID",
    "name": "Name",
    "kind": "Kind",
    "project": "Project",
    "redacted": "Key",
    "created_at": "Created",
    "last_used_at": "Last used",
    "state": "State",
}

keys = typer.Typer(help="Make, list, rotate and revoke API keys.", no_args_is_help=True)

KeyId = Annotated[str, typer.Argument(metavar="ID", help="The key's id, as `antiphon keys list` shows it.")]


@keys.command()
def create(
    name: Annotated[str, typer.Option(help="What the key is for.")] = "key",
    org: Organization = "default",
    project: Annotated[
        str, typer.Option(help="The project it belongs to; made if it does not exist.")
    ] = "default",
    admin: Annotated[bool, typer.Option("--admin", help="A key that administers the organization.")] = False,
    operator: Annotated[
        bool, typer.Option("--operator", help="A key that administers the installation.")
    ] = False,
    role: Annotated[Role, typer.Option(help="What an admin key may do.")] = "owner",
    scopes: Annotated[
        str, typer.Option(help="What a project's key may be used for, separated by commas.")
    ] = "chat,audio,models",
    member: Annotated[str, typer.Option(help="Whose key it is, by address; nobody's in particular.")] = "",
    expires_days: Annotated[
        int | None, typer.Option(min=1, max=36_500, help="Days until it expires; never, if not given.")
    ] = None,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Make a key and print it, this once: only a hash of it is stored."""
    if admin and operator:
        raise CommandFailed("give --admin or --operator, not both", exit_code=ExitCode.USAGE)
    if operator and member:
        raise CommandFailed("an operator's key has no member", exit_code=ExitCode.USAGE)

    async def run() -> tuple[ApiKey, str]:
        from antiphon.access.api_key import NewKey

        async with opened(home) as access:
            realm = await _realm(access, org, "" if admin or operator else project, operator)
            owner = await access.members.find(str(realm.organization_id), member) if member else None
            new = NewKey(
                realm=realm,
                name=name,
                role=role,
                scopes=scopes.replace(",", " ").split(),
                member_id=owner.id if owner else None,
                expires_in_seconds=None if expires_days is None else expires_days * DAY_SECONDS,
            )
            return await access.keys.create(new, by=None)

    key, secret = asyncio.run(run())
    _print_secret(key, secret, as_json, home)


@keys.command("list")
def list_keys(as_json: Json = False, as_csv: Csv = False, home: ExistingHome = None) -> None:
    """List every key of the installation, the revoked and expired ones too."""

    async def run() -> list[ApiKey]:
        async with opened(home) as access:
            return await every(lambda after: access.keys.list(None, after=after, limit=PAGE, revoked=True))

    now = time.time()
    rows = [_row(key) | {"state": key.state(now)} for key in asyncio.run(run())]
    show(rows, _COLUMNS, as_json=as_json, as_csv=as_csv)


@keys.command()
def revoke(key_id: KeyId, home: ExistingHome = None) -> None:
    """Revoke a key: within a second a running server refuses it."""

    async def run() -> None:
        async with opened(home) as access:
            key = await access.keys.get(None, key_id)
            await access.keys.revoke(key.realm, key_id, by=None)

    asyncio.run(run())
    typer.echo(f"{key_id} is revoked.")


@keys.command()
def rotate(
    key_id: KeyId,
    grace: Annotated[
        str, typer.Option(help="How long the old secret still counts: a number and s, m, h or d.")
    ] = "24h",
    token: Annotated[
        str | None,
        typer.Option(help="A name for this rotation: asked for again, it gives the same secret."),
    ] = None,
    as_json: Json = False,
    home: ExistingHome = None,
) -> None:
    """Give a key a new secret and print it. The key keeps its id, limits and usage."""
    seconds = _seconds(grace)

    async def run() -> tuple[ApiKey, str]:
        async with opened(home) as access:
            key = await access.keys.get(None, key_id)
            return await access.keys.rotate(key.realm, key_id, token=token, grace_seconds=seconds, by=None)

    key, secret = asyncio.run(run())
    _print_secret(key, secret, as_json, home)


async def _realm(access: Access, org: str, project: str, operator: bool) -> Realm:
    from antiphon.access.api_key import Realm

    if operator:
        return Realm()
    organization = await access.organizations.find(org)
    if not project:
        return Realm(organization.id)
    return Realm(organization.id, (await access.projects.ensure(organization.id, project, by=None)).id)


def _seconds(text: str) -> int:
    found = re.fullmatch(r"(\d{1,9})([smhd])", text)
    if found is None:
        raise CommandFailed(
            f"'{text}' is not a length of time",
            fix="write it like 90s, 30m, 24h or 7d",
            exit_code=ExitCode.USAGE,
        )
    return int(found[1]) * _UNITS[found[2]]


def _row(key: ApiKey) -> dict[str, Any]:
    row: dict[str, Any] = msgspec.to_builtins(key)
    return row


def _print_secret(key: ApiKey, secret: str, as_json: bool, home: str | None) -> None:
    if as_json:
        typer.echo(json.dumps({"id": key.id, "value": secret}))
        return
    typer.echo(secret)
    place = f"in project {key.project}" if key.project else f"of kind {key.kind}"
    folder = home_folder({"home": home})
    typer.echo(f"{key.id} {place}, for the Antiphon in {folder}. It is not shown again.", err=True)

"""`antiphon data opt-in`, `opt-out` and `consent`: whether content may be trained on, for the operator."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from antiphon.cli.administration import Csv, Organization, opened_database, show
from antiphon.cli.options import ExistingHome, Home, Json

if TYPE_CHECKING:
    from antiphon.privacy.consent import Decision

_COLUMNS = {
    "decided_at": "Decided",
    "opted_in": "Opted in",
    "text_version": "Text",
    "given_by": "By",
    "actor_member_id": "Member",
    "actor_key_id": "Key",
}


def opt_in(
    by: Annotated[str, typer.Option("--by", help="Who of the organization agreed: a name, an address.")],
    text: Annotated[
        str, typer.Option("--text", help="The version of the text that was agreed to, as 2026-11.")
    ],
    org: Organization = "default",
    home: Home = None,
) -> None:
    """Record that an organization agreed to training on its content, from now on.

    Show the text first: `antiphon data consent --text`. Owners do this themselves through the API.
    """

    async def run() -> Decision:
        from antiphon.privacy.consent import Consents

        async with opened_database(home) as (access, database):
            found = await access.organizations.find(org)
            return await Consents(database, time.time).opt_in(found.id, text, given_by=by, by=None)

    made = asyncio.run(run())
    typer.echo(f"{org} is opted in, to the text {made.text_version} (SHA-256 {made.text_sha256}).")


def opt_out(
    by: Annotated[str, typer.Option("--by", help="Who of the organization decided it.")] = "",
    org: Organization = "default",
    home: Home = None,
) -> None:
    """Record that an organization's content may not be trained on any more, that of before either."""

    async def run() -> None:
        from antiphon.privacy.consent import Consents

        async with opened_database(home) as (access, database):
            found = await access.organizations.find(org)
            await Consents(database, time.time).opt_out(found.id, given_by=by, by=None)

    asyncio.run(run())
    typer.echo(f"{org} is opted out.")


def consent(
    text: Annotated[
        bool, typer.Option("--text", help="Print the text that is agreed to, whose version it begins with.")
    ] = False,
    org: Organization = "default",
    as_json: Json = False,
    as_csv: Csv = False,
    home: ExistingHome = None,
) -> None:
    """List what an organization decided about training on its content, the newest first; days are UTC."""
    if text:
        from antiphon.privacy.consent import text as shipped

        typer.echo(shipped().text, nl=False)
        return

    async def run() -> list[Decision]:
        from antiphon.privacy.consent import Consents

        async with opened_database(home) as (access, database):
            organization, consents = await access.organizations.find(org), Consents(database, time.time)
            found: list[Decision] = []
            more = True
            while more:
                after = found[-1].id if found else None
                page, more = await consents.list(organization.id, after=after)
                found += page
            return found

    found = asyncio.run(run())
    show([_row(decision) for decision in found], _COLUMNS, as_json=as_json, as_csv=as_csv)
    holds = "opted in" if found and found[0].opted_in else "opted out"
    typer.echo(f"{org} is {holds}{'' if found else ', which is the default'}.", err=True)


def _row(decision: Decision) -> dict[str, Any]:
    """With the second in which it was decided."""
    return msgspec.structs.asdict(decision) | {"decided_at": decision.decided_at // 1_000_000}

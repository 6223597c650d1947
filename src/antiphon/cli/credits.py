"""`antiphon credits`: what organizations pay in advance, for the operator."""

from __future__ import annotations

import asyncio
import json
import re
import time
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer
from msgspec.structs import asdict

from antiphon.cli.administration import Csv, Organization, opened_database, show
from antiphon.cli.options import ExistingHome, Home, Json
from antiphon.cli.output import CommandFailed, ExitCode

if TYPE_CHECKING:
    from antiphon.ledger.credits import Balance, Credit

_COLUMNS = {"id": "ID", "created_at": "Given", "amount": "US dollars", "note": "Note"}

credits = typer.Typer(help="Credit organizations that pay in advance.", no_args_is_help=True)


@credits.command()
def add(
    amount: Annotated[
        str, typer.Argument(help="US dollars, as 25 or 0.50; put -- before one that is taken back, as -5.")
    ],
    note: Annotated[str, typer.Option(help="What it was for.")] = "",
    name: Annotated[
        str | None, typer.Option("--id", help="What you call it: again under the same id, it is given once.")
    ] = None,
    org: Organization = "default",
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Add to the balance of an organization; it is spent once `antiphon orgs prepaid ORG --on` was said."""
    from antiphon.operations.crediting import credit

    nano(amount)  # or it says what is wrong
    if name == "":
        raise CommandFailed("the id is empty", fix="write --id invoice-7", exit_code=ExitCode.USAGE)

    async def run() -> Credit:
        async with opened_database(home) as (access, database):
            organization = await access.organizations.find(org)
            return await credit(database, organization.id, amount, note, name=name, by=None, now=time.time())

    made = asyncio.run(run())
    typer.echo(json.dumps(_row(made)) if as_json else made.id)


@credits.command("list")
def list_credits(
    org: Organization = "default", as_json: Json = False, as_csv: Csv = False, home: ExistingHome = None
) -> None:
    """List the credits of an organization; what is left of them goes to stderr."""
    from antiphon.ledger import credits as ledger
    from antiphon.money import money

    async def run() -> tuple[list[Credit], Balance]:
        async with opened_database(home) as (access, database), database.connect() as connection:
            organization = await access.organizations.find(org)
            found: list[Credit] = []
            more = True
            while more:
                after = found[-1].id if found else None
                page, more = await connection.run_sync(
                    partial(ledger.listed, organization_id=organization.id, after=after)
                )
                found += page
            return found, await connection.run_sync(ledger.balance, organization.id)

    found, balance = asyncio.run(run())
    show([_row(credit) for credit in found], _COLUMNS, as_json=as_json, as_csv=as_csv)
    typer.echo(f"{money(balance.left)} are left.", err=True)


def _row(credit: Credit) -> dict[str, Any]:
    from antiphon.ledger.usage import dollars

    return asdict(credit) | {"amount": f"{dollars(credit.amount):f}"}


def nano(amount: str) -> int:
    """Nano-dollars of an amount of US dollars. Raises `CommandFailed`."""
    if not re.fullmatch(r"-?\d{1,12}(\.\d{1,9})?", amount, re.ASCII):
        raise CommandFailed(
            f"'{amount}' is not an amount of dollars",
            fix="write it like 25 or 0.50",
            exit_code=ExitCode.USAGE,
        )
    return int(Decimal(amount).scaleb(9))

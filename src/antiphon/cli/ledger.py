"""`antiphon ledger`: the proof that the books are right."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import typer

from antiphon.cli.administration import opened_database
from antiphon.cli.options import ExistingHome, Json
from antiphon.cli.output import CommandFailed

if TYPE_CHECKING:
    from antiphon.ledger.tally import Finding

ledger = typer.Typer(help="Prove the books of usage and money.", no_args_is_help=True)


@ledger.callback()
def _group() -> None:
    """Keeps `verify` a command of its own."""


@ledger.command()
def verify(as_json: Json = False, home: ExistingHome = None) -> None:
    """Derive every balance and page from the log of requests again; exit code 1 on a difference of anything.

    A running server may go on meanwhile: what is read is the books of one moment.
    """

    async def run() -> list[Finding]:
        from antiphon.ledger.verify import verify as prove

        async with opened_database(home) as (_, database), database.connect() as connection:
            return await connection.run_sync(prove)

    findings = asyncio.run(run())
    if as_json:
        typer.echo(msgspec.json.encode(findings))
    else:
        for finding in findings:
            typer.echo(str(finding))
    if findings:
        raise CommandFailed(
            f"the books are wrong in {len(findings)} places",
            fix="keep a copy of the database, and report it in Antiphon's issue tracker",
        )
    if not as_json:
        typer.echo("The books are right.")

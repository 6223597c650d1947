"""`antiphon data purge`, `receipts` and `public-key`: deletion, and the proof of it."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from antiphon import settings
from antiphon.cli.administration import Csv, opened_database, show
from antiphon.cli.options import ExistingHome, Json
from antiphon.cli.output import CommandFailed

if TYPE_CHECKING:
    from antiphon.privacy.receipts import Body, Receipt

_COLUMNS = {
    "id": "ID",
    "ended_at": "Signed",
    "organization": "Organization",
    "cause": "Why",
    "policy_days": "Days",
    "kind": "What",
    "number": "Number",
}
Known = Annotated[
    list[str] | None,
    typer.Option("--public-key", help="Whose signature is good, too: another machine's; may be repeated."),
]


def purge(as_json: Json = False, home: ExistingHome = None) -> None:
    """Delete what has expired now, as a running server does every minute, and sign the receipt of it."""

    async def run() -> Body | None:
        from antiphon.app.data import new_purge, opened_content
        from antiphon.privacy.keys import KeyMissing

        chosen = settings.load({"home": home})
        async with opened_database(home) as (_, database), opened_content(chosen, database) as content:
            try:
                return await (await new_purge(chosen, database, content)).look(sign=True)
            except (OSError, KeyMissing) as problem:
                raise CommandFailed(
                    f"not everything could be deleted: {problem}",
                    fix="mend that; all else was deleted, and the rest is tried again every minute",
                ) from problem

    from antiphon.privacy.receipts import shown

    body = asyncio.run(run())
    if as_json:
        typer.echo(json.dumps(shown(body) if body else None))
    elif body is None:
        typer.echo("There was nothing to delete.", err=True)
    else:
        sums: Counter[str] = Counter()
        for one in body.deleted:
            sums[one.kind] += one.number
        typer.echo(f"{body.id}: " + ", ".join(f"{number} {kind}" for kind, number in sorted(sums.items())))


def receipts(
    verify: Annotated[
        bool, typer.Option("--verify", help="Check every signature, and that none is missing.")
    ] = False,
    known: Known = None,
    as_json: Json = False,
    as_csv: Csv = False,
    home: ExistingHome = None,
) -> None:
    """List what was deleted: how much, when, and by which policy; exit code 1 if a receipt is not sound.

    The days are those of the policy, -1 of none; kinds are those of requests, `recording`, and `key`.
    """
    from antiphon.privacy import receipts as kept

    async def run() -> list[Receipt]:
        async with opened_database(home) as (_, database), database.connect() as connection:
            return await connection.run_sync(kept.listed)

    found = asyncio.run(run())
    if as_json:
        typer.echo(json.dumps([kept.shown(one.body) for one in found]))
    else:
        show(_rows(found), _COLUMNS, as_json=False, as_csv=as_csv)
    if not found:
        typer.echo("Nothing was deleted yet, or its receipt is signed within the hour.", err=True)
    if verify:
        faults = kept.faults(found, {_own(home), *(known or ())})
        for fault in faults:
            typer.echo(fault, err=True)
        if faults:
            raise CommandFailed(
                f"{len(faults)} receipts are not sound",
                fix="give the keys of other machines with --public-key, or see who changed the database",
            )
        typer.echo(f"{len(found)} receipts are sound.", err=True)


def public_key(home: ExistingHome = None) -> None:
    """Print the key that signatures of this data folder's receipts are checked with: Ed25519, in base64."""
    typer.echo(_own(home))


def _own(home: str | None) -> str:
    from antiphon.privacy.receipts import load_signer

    return load_signer(settings.load({"home": home}).home_path).public_key


def _rows(found: list[Receipt]) -> list[dict[str, Any]]:
    from msgspec.structs import asdict

    return [
        asdict(one) | {"id": receipt.body.id, "ended_at": receipt.body.ended_at}
        for receipt in found
        for one in receipt.body.deleted
    ]

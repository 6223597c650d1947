"""`antiphon audit`: who changed what, and the proof that nothing of it was changed since."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.progress import MofNCompleteColumn, TimeRemainingColumn

from antiphon.cli.administration import PAGE, Csv, opened_database, show
from antiphon.cli.models import progress_bars
from antiphon.cli.moments import written
from antiphon.cli.options import ExistingHome, Json
from antiphon.cli.output import CommandFailed, ExitCode

if TYPE_CHECKING:
    from antiphon.access.audit import Event
    from antiphon.storage.audit_proof import Finding, Head

_COLUMNS = {
    "time": "Time (UTC)",
    "organization_id": "Organization",
    "project": "Project",
    "type": "What",
    "by": "By",
    "payload": "Details",
}

audit = typer.Typer(
    help="Read the log of what was changed, and prove that it is whole.", no_args_is_help=True
)


@audit.command("list")
def list_events(
    org: Annotated[
        str | None,
        typer.Option(
            "--org", help="The organization, by name or id; without it, all and the whole installation."
        ),
    ] = None,
    last: Annotated[int, typer.Option(min=1, help="How many, of the newest.")] = 50,
    as_json: Json = False,
    as_csv: Csv = False,
    home: ExistingHome = None,
) -> None:
    """List who changed what, the newest first. What concerns the whole installation has no organization."""

    async def run() -> list[Event]:
        async with opened_database(home) as (access, _):
            organization = org and (await access.organizations.find(org)).id
            found: list[Event] = []
            more = True
            while more and len(found) < last:
                after = found[-1].id if found else None
                size = min(PAGE, last - len(found))
                page = await access.audit.list(organization, after=after, limit=size)
                found, more = [*found, *page.data], page.has_more
            return found

    rows = [_row(event) for event in asyncio.run(run())]
    if not as_json:
        rows = [row | {"payload": json.dumps(row["payload"], ensure_ascii=False)} for row in rows]
    show(rows, _COLUMNS, as_json=as_json, as_csv=as_csv)


@audit.command()
def verify(
    head: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="What `antiphon audit head` printed before; - reads it from stdin."
        ),
    ] = None,
    as_json: Json = False,
    home: ExistingHome = None,
) -> None:
    """Compute every digest of the log again; exit code 1 if anything was changed, moved, added or removed.

    The ends are proved with the pepper of the data folder. Who has both it and the database can still take
    both back to an earlier state: only a head that was kept elsewhere shows that. A running server may go on.
    """
    kept = _kept(head) if head else []

    async def run() -> tuple[list[Finding], list[Head]]:
        from antiphon.storage import audit_proof

        with progress_bars(MofNCompleteColumn(), TimeRemainingColumn()) as bars:
            async with opened_database(home) as (_, database), database.connect() as connection:
                proof = partial(
                    audit_proof.verify,
                    pepper=database.pepper,
                    kept=kept,
                    progress=lambda done, total: bars("rows", done, total),
                )
                return await connection.run_sync(proof), await connection.run_sync(audit_proof.heads)

    findings, ends = asyncio.run(run())
    if as_json:
        typer.echo(msgspec.json.encode(findings))
    else:
        for finding in findings:
            typer.echo(str(finding))
    if findings:
        raise CommandFailed(
            f"the audit log was tampered with in {len(findings)} of its chains",
            fix="keep a copy of the database, and compare it with a backup",
        )
    if not as_json:
        rows = sum(one.sequence for one in ends)
        typer.echo(f"The audit log is whole: {rows} rows in {len(ends)} chains.")


@audit.command("head")
def print_head(as_json: Json = False, home: ExistingHome = None) -> None:
    """Print where each chain of the log ends: keep it elsewhere, for `antiphon audit verify --head`."""

    async def run() -> list[Head]:
        from antiphon.storage.audit_proof import heads

        async with opened_database(home) as (_, database), database.connect() as connection:
            return await connection.run_sync(heads)

    ends = asyncio.run(run())
    if as_json:
        typer.echo(msgspec.json.encode(ends))
    else:
        typer.echo("\n".join(map(str, ends)))


def _kept(name: str) -> Sequence[Head]:
    """The heads in a file. Raises `CommandFailed`."""
    from antiphon.storage.audit_proof import parsed

    try:
        return parsed(sys.stdin.read() if name == "-" else Path(name).read_text())
    except (OSError, ValueError) as problem:
        raise CommandFailed(
            f"'{name}' holds no heads: {problem}",
            fix="give what antiphon audit head printed",
            exit_code=ExitCode.USAGE,
        ) from None


def _row(event: Event) -> dict[str, Any]:
    row = msgspec.structs.asdict(event)
    by = event.actor_email or event.actor_service_account_id or event.actor_key_id or "operator"
    return row | {"time": written(event.effective_at), "by": by}

"""`antiphon data export` and `erase`: what is kept of an organization, given out or destroyed."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from antiphon import settings
from antiphon.cli.administration import PAGE, every, opened_database
from antiphon.cli.options import ExistingHome
from antiphon.cli.output import CommandFailed, ExitCode, err_console
from antiphon.errors import AntiphonError

if TYPE_CHECKING:
    from antiphon.access.access import Access
    from antiphon.operations.exporting import Exported, Exporter


def export(
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where it goes: a new folder.")],
    organization: Annotated[
        str | None, typer.Option("--organization", "--org", help="Whose content, by name or id.")
    ] = None,
    training: Annotated[
        bool,
        typer.Option(
            "--training", help="What may be trained on instead: of all that are opted in, or of one alone."
        ),
    ] = False,
    home: ExistingHome = None,
) -> None:
    """Give out what is kept: a line of JSON for each request, in the shape of batches, and recordings.

    With `--training` it is read only of organizations that are opted in now, and only what they asked while
    they were. Either is written into the audit log. What is given out is not deleted by the purge any more.
    """
    if organization is None and not training:
        raise CommandFailed(
            "it is not said whose content is wanted",
            fix="give --organization, or --training",
            exit_code=ExitCode.USAGE,
        )
    found = asyncio.run(_exported(home, out, organization, training))
    typer.echo(f"{out}: {found.requests} requests, {found.recordings} recordings")
    if found.unreadable:
        raise CommandFailed(
            f"the keys of {found.unreadable} requests are not in the key store, and these were left out",
            fix="set content_keys to the same database on every machine; antiphon doctor tells more",
        )
    if found.missing:
        raise CommandFailed(
            f"{found.missing} recordings are not where they should be, and were left out",
            fix="export on the machine that took them, if each machine has a folder of its own",
        )


async def _exported(home: str | None, out: Path, organization: str | None, training: bool) -> Exported:
    from antiphon.app.data import opened_content
    from antiphon.operations.exporting import Exporter

    chosen = settings.load({"home": home})
    async with opened_database(home) as (access, database), opened_content(chosen, database) as content:
        with err_console().status("exporting") as status:

            def show(so_far: Exported) -> None:
                status.update(f"exporting: {so_far.requests} requests, {so_far.recordings} recordings")

            exporter = Exporter(database, content, time.time, show)
            return await _run(exporter, access, out, organization, training)


async def _run(
    exporter: Exporter, access: Access, out: Path, organization: str | None, training: bool
) -> Exported:
    wanted = await access.organizations.find(organization) if organization is not None else None
    if not training:
        assert wanted is not None
        return await exporter.of_organization(wanted.id, out)
    if wanted is not None:
        return await exporter.for_training([wanted.id], out)
    everybody = await every(lambda after: access.organizations.list(after=after, limit=PAGE))
    return await exporter.for_training([one.id for one in everybody], out)


def erase(
    organization: Annotated[
        str, typer.Option("--organization", "--org", help="Whose content, by name or id.")
    ],
    project: Annotated[
        str | None, typer.Option("--project", help="Of this project alone, by name or id.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether it is really meant.")] = False,
    home: ExistingHome = None,
) -> None:
    """Erase all content that is kept of an organization, or of a project, now and in every backup.

    Its keys are destroyed, so that no copy can be read, and exports that the console made of it are deleted.
    What was billed stays.
    """
    whose = f"{organization}, project {project}" if project else organization
    if not yes:
        typer.confirm(f"Erase all content that is kept of {whose}, for good?", abort=True, err=True)
    gone, left = asyncio.run(_erased(home, organization, project))
    if not left:
        typer.echo(f"{whose}: {gone} requests are erased; see antiphon data receipts")
        return
    typer.echo(f"{whose}: {gone} requests are erased, and nobody reads them any more. {left}")
    typer.echo(
        "Not all of it is deleted, nor every key destroyed: a running server does so within a minute, "
        "and tries again for as long as it takes (antiphon data purge, antiphon data receipts).",
        err=True,
    )


async def _erased(home: str | None, organization: str, project: str | None) -> tuple[int, str]:
    """How many requests it was, and what keeps the rest from being done at once, if anything does."""
    from antiphon.app.data import new_purge, opened_content
    from antiphon.operations.erasing import erase
    from antiphon.privacy.keys import KeyMissing

    chosen = settings.load({"home": home})
    async with opened_database(home) as (access, database), opened_content(chosen, database) as content:
        whole = await access.organizations.find(organization)
        part = await access.projects.find(whole.id, project) if project is not None else None
        async with database.begin() as connection:
            gone = await erase(connection, whole.id, part.id if part else None, time.time())
        # What was said is done, and a server goes on with it, whatever comes now.
        try:
            await (await new_purge(chosen, database, content)).look(sign=True)
        except (AntiphonError, OSError, KeyMissing) as problem:
            return gone, str(problem)
    return gone, ""

"""`antiphon data policy`: for how long content is kept, for the operator."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args

import typer

from antiphon.cli.administration import Csv, Organization, opened_database, show
from antiphon.cli.options import ExistingHome, Home, Json
from antiphon.cli.output import CommandFailed, ExitCode
from antiphon.wire.admin.data_retention import ProjectRetentionType

if TYPE_CHECKING:
    from antiphon.privacy.policies import Setting

_COLUMNS = {
    "of": "Of",
    "name": "Name",
    "type": "Type",
    "days": "Days",
    "stores": "Keeps what is to be stored",
}

policy = typer.Typer(
    help="Show and set for how long prompts, answers and recordings are kept.", no_args_is_help=True
)


@policy.command("show")
def show_policies(
    org: Organization = "default", as_json: Json = False, as_csv: Csv = False, home: ExistingHome = None
) -> None:
    """Show the policy of an organization and of each of its projects; 0 days: content is never written."""

    async def run() -> list[dict[str, Any]]:
        from antiphon.privacy.policies import Policies

        async with opened_database(home) as (access, database):
            organization = await access.organizations.find(org)
            policies = Policies(database, time.time)
            whole = await policies.get(organization.id)
            projects = await policies.of_projects(organization.id)
        return [
            _row("organization", organization.id, organization.name, whole),
            *(_row("project", one.project_id, one.name, one.setting) for one in projects),
        ]

    show(asyncio.run(run()), _COLUMNS, as_json=as_json, as_csv=as_csv)


@policy.command("set")
def set_policy(
    type: Annotated[
        str, typer.Argument(help=f"One of {', '.join(get_args(ProjectRetentionType))}.", metavar="TYPE")
    ],
    days: Annotated[
        int | None, typer.Option(help="With none: for how many days content is kept, 1 to 30; default 30.")
    ] = None,
    project: Annotated[
        str | None, typer.Option(help="The project, by name or id; without it, the organization.")
    ] = None,
    org: Organization = "default",
    home: Home = None,
) -> None:
    """Set for how long content is kept; a server that runs follows within a second.

    With zero_data_retention nothing is ever written; with modified_abuse_monitoring nothing but what requests
    ask to `store`; with none everything, for the days. A project's own policy holds for it, and with
    organization_default that of its organization. What is kept already ends as the new policy says, if that
    is sooner.
    """
    from antiphon.privacy.expiring import shorten
    from antiphon.privacy.policies import Policies

    if type not in (known := get_args(ProjectRetentionType)):
        raise CommandFailed(
            f"'{type}' is not a type of policy", fix=f"write {known[0]}", exit_code=ExitCode.USAGE
        )

    async def run() -> tuple[str, Setting]:
        async with opened_database(home) as (access, database):
            whole = await access.organizations.find(org)
            part = await access.projects.find(whole.id, project) if project is not None else None
            made = await Policies(database, time.time, shorten).set(
                whole.id, part.id if part else None, cast(ProjectRetentionType, type), days, by=None
            )
        return part.name if part else whole.name, made

    name, made = asyncio.run(run())
    typer.echo(f"{name}: {_told(made)}.")


def _told(setting: Setting) -> str:
    if setting.policy.days:
        return f"content is kept for {setting.policy.days} days"
    if setting.policy.stores:
        return "no content is written but what requests ask to store"
    return "no content is ever written"


def _row(of: str, id: str, name: str, setting: Setting) -> dict[str, Any]:
    return {
        "of": of,
        "id": id,
        "name": name,
        "type": setting.type,
        "days": setting.policy.days,
        "stores": setting.policy.stores,
    }

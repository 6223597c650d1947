"""`antiphon moderation`: what scores here, from which scores on something follows, and what a text scores."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from antiphon import settings
from antiphon.cli.administration import Csv, opened_moderation, show
from antiphon.cli.options import ExistingHome, Home, Json
from antiphon.cli.output import CommandFailed, ExitCode

if TYPE_CHECKING:
    from antiphon.moderation.policy import Thresholds

moderation = typer.Typer(help="What texts score, and what follows from it.", no_args_is_help=True)


@moderation.command()
def score(
    text: Annotated[
        str, typer.Argument(help="The text; it goes nowhere but to the scorers of the settings.")
    ],
    as_json: Json = False,
    as_csv: Csv = False,
    home: Home = None,
) -> None:
    """Score a text as this data folder's settings and rules say, without a server."""

    async def run() -> tuple[list[dict[str, Any]], list[str]]:
        from antiphon.moderation.scorers import panel

        scorers = panel(settings.load({"home": home}))
        try:
            await scorers.start()
            [found] = await scorers.score([text])
        finally:
            await scorers.close()
        rows = [
            {"category": name, "score": f"{one.score:.3f}", "scorer": one.scorer}
            for name, one in found.items()
        ]
        return rows, scorers.unscored

    rows, unscored = asyncio.run(run())
    columns = {"category": "Category", "score": "Score", "scorer": "Scorer"}
    show(rows, columns, as_json=as_json, as_csv=as_csv)
    if unscored:
        typer.echo(f"Nobody scores: {', '.join(unscored)}.", err=True)


@moderation.command()
def thresholds(
    org: Annotated[
        str | None, typer.Option("--org", help="The organization, by name or id; without it, all of them.")
    ] = None,
    category: Annotated[str | None, typer.Option("--category", help="Set one: for this category.")] = None,
    action: Annotated[
        Literal["note", "alert", "throttle", "suspend"] | None, typer.Option("--action", help="What follows.")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="SCORE", help="From this score on, 0 to 1; `never` for never."),
    ] = None,
    times: Annotated[int, typer.Option("--times", help="For so many times within a day.")] = 1,
    reset: Annotated[bool, typer.Option("--reset", help="Forget what was set.")] = False,
    as_json: Json = False,
    as_csv: Csv = False,
    home: ExistingHome = None,
) -> None:
    """Show the thresholds in force, or set one: with --category, --action and --at."""
    given = [category, action, at]
    if any(one is not None for one in given) and (reset or None in given):
        raise CommandFailed("give --category, --action and --at, or --reset", exit_code=ExitCode.USAGE)

    async def run() -> Thresholds:
        from antiphon.moderation.thresholds import EVERYBODY

        async with opened_moderation(home) as house:
            scope = EVERYBODY if org is None else (await house.access.organizations.find(org)).id
            if reset:
                await house.thresholds.reset(scope, by=None)
            elif category is not None and action is not None and at is not None:
                await house.thresholds.set(scope, category, action, _score(at), times=times, by=None)
            return await house.thresholds.of(scope)

    rows = [
        {"category": name, "action": action, "score": one.score, "times": one.times}
        for (name, action), one in asyncio.run(run()).items()
    ]
    columns = {"category": "Category", "action": "Action", "score": "From score", "times": "Times a day"}
    show(rows, columns, as_json=as_json, as_csv=as_csv)


def _score(text: str) -> float | None:
    if text == "never":
        return None
    try:
        return float(text)
    except ValueError:
        raise CommandFailed("--at is a score from 0 to 1, or `never`", exit_code=ExitCode.USAGE) from None

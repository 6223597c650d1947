"""The `antiphon` command: every subcommand in one place, and the one place where a failure becomes a line.

Modules of commands import what is slow (the server, the database, the HTTP library) inside their functions,
so that `antiphon --help` answers at once.
"""

from __future__ import annotations

import os
from typing import Annotated

import typer

from antiphon import __version__
from antiphon.cli.advise import advise
from antiphon.cli.audit import audit
from antiphon.cli.backup import backup, restore
from antiphon.cli.chat import chat
from antiphon.cli.compare import compare
from antiphon.cli.costs import costs
from antiphon.cli.credits import credits
from antiphon.cli.data import data
from antiphon.cli.db import db
from antiphon.cli.dedicated import dedicated
from antiphon.cli.docs import docs
from antiphon.cli.doctor import doctor
from antiphon.cli.flags import flags
from antiphon.cli.handover import ENVIRONMENT, inherited, say
from antiphon.cli.import_ import imports
from antiphon.cli.keys import keys
from antiphon.cli.ledger import ledger
from antiphon.cli.models import models
from antiphon.cli.moderation import moderation
from antiphon.cli.options import with_settings
from antiphon.cli.orgs import orgs
from antiphon.cli.output import report
from antiphon.cli.people import people
from antiphon.cli.prices import prices
from antiphon.cli.projects import projects
from antiphon.cli.restart import restart
from antiphon.cli.status import status
from antiphon.cli.switching import COMMANDS
from antiphon.cli.transcribe import transcribe
from antiphon.cli.tune import tune
from antiphon.cli.usage import usage
from antiphon.settings import Settings


def serve(settings: Settings) -> None:
    """Start Antiphon: chat completions and speech-to-text on one address.

    The first start installs the bundled models and prints a key. Ctrl-C or SIGTERM lets running requests end.
    """
    from antiphon.cli.serve import serve as run

    run(settings)


EXIT_CODES = (
    "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 wrong configuration, 4 no server answers, "
    "5 refused by the server, 130 interrupted."
)

app = typer.Typer(
    help="Chat completions and Whisper speech-to-text on machines you control.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
app.command()(with_settings(serve))
app.command()(restart)
app.add_typer(orgs, name="orgs")
app.add_typer(projects, name="projects")
app.add_typer(keys, name="keys")
app.command()(usage)
app.command()(costs)
app.add_typer(credits, name="credits")
app.add_typer(people, name="people")
app.add_typer(prices, name="prices")
app.add_typer(ledger, name="ledger")
app.add_typer(audit, name="audit")
app.add_typer(flags, name="flags")
app.add_typer(moderation, name="moderation")
for name, command in COMMANDS.items():
    models.command(name)(command)
models.command()(compare)
app.add_typer(models, name="models")
dedicated.command()(tune)
dedicated.command()(advise)
app.add_typer(dedicated, name="dedicated")
app.add_typer(imports, name="import")
app.command()(chat)
app.command()(transcribe)
app.add_typer(data, name="data")
app.add_typer(status, name="status")
app.add_typer(backup, name="backup")
app.command()(restore)
app.add_typer(db, name="db")
app.command()(doctor)
app.command()(docs)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"antiphon {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """What may stand before a subcommand."""


def main() -> None:
    """Run the command line; the exit code says how it went."""
    try:
        app(prog_name="antiphon")
    except Exception as problem:
        if ENVIRONMENT in os.environ:  # a server that was to take over, and has not come far
            say(inherited(), problem)
        raise SystemExit(report(problem)) from None

"""Running the operator's commands against a data folder of their own, as a shell would."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer
from typer.testing import CliRunner, Result

from antiphon.access.pepper import load_pepper
from antiphon.cli.data import data
from antiphon.cli.flags import flags
from antiphon.cli.keys import keys
from antiphon.cli.moderation import moderation
from antiphon.cli.orgs import orgs
from antiphon.cli.output import report
from antiphon.cli.projects import projects

APP = typer.Typer()
APP.add_typer(data, name="data")
APP.add_typer(flags, name="flags")
APP.add_typer(keys, name="keys")
APP.add_typer(moderation, name="moderation")
APP.add_typer(orgs, name="orgs")
APP.add_typer(projects, name="projects")


def begun(home: Path) -> Path:
    """A data folder in which Antiphon has begun, and nothing was done yet."""
    home.mkdir(parents=True, exist_ok=True)
    load_pepper(home)
    return home


class Shell:
    """A command's result for each call; commands that fail end as the real command line ends them."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def __call__(self, *arguments: str) -> Result:
        return CliRunner().invoke(APP, [*arguments, "--home", str(self.home)])

    def printed(self, *arguments: str) -> str:
        """What a command that succeeds prints, without the last newline."""
        done = self(*arguments)
        assert done.exit_code == 0, done.output
        return done.stdout.removesuffix("\n")

    def json(self, *arguments: str) -> Any:
        return json.loads(self.printed(*arguments, "--json"))

    def failed(self, *arguments: str) -> tuple[int, str]:
        """The exit code of a command that fails, and the message."""
        done = self(*arguments)
        assert done.exit_code != 0 and done.stdout == ""
        problem = done.exception
        assert isinstance(problem, Exception), done.output
        return int(report(problem)), str(problem)

"""Options that several commands share, and the table of settings as options of one."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from typing import Annotated, Any, Literal, get_args, get_origin

import typer

from antiphon import settings
from antiphon.cli import standing
from antiphon.cli.output import CommandFailed
from antiphon.errors import ConfigurationError
from antiphon.home import home_folder
from antiphon.settings import DATABASE_NAME, Row, Settings

METAVARS = {bool: "BOOL", int: "INT", float: "FLOAT"}
_MARKS = ("pepper", DATABASE_NAME)
"""Files of which every data folder has one since its first command or start, wherever its database is."""


def _existing(home: str | None) -> str | None:
    """The folder as it was given. Raises `CommandFailed` where nothing has ever begun in it."""
    folder = home_folder({"home": home})
    if not any(os.path.exists(folder / name) for name in _MARKS):
        raise CommandFailed(
            f"there is no Antiphon in {folder}",
            fix="name its data folder with --home or ANTIPHON_HOME; `antiphon serve` begins a new one",
        )
    return home


_HELP = "Data folder; default as for `antiphon serve`."
Home = Annotated[str | None, typer.Option("--home", help=_HELP)]
ExistingHome = Annotated[str | None, typer.Option("--home", help=_HELP, callback=_existing)]
"""For commands that read, or change what is there: they begin no data folder, where a name was mistyped."""
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
BaseUrl = Annotated[
    str | None,
    typer.Option("--base-url", help="Address of the API; default from ANTIPHON_HOST and ANTIPHON_PORT."),
]
Key = Annotated[
    str | None,
    typer.Option(
        "--key",
        envvar=["OPENAI_API_KEY", "ANTIPHON_API_KEY"],
        help="API key; better given in the environment, where other users do not see it.",
    ),
]


def with_settings(function: Callable[[Settings], None]) -> Callable[..., None]:
    """A command with one option for each setting, which calls `function` with the settings in force.

    Values are checked by `settings.load` alone, whether they come from the file, the environment or a
    flag; so the options here are text, and a wrong one raises `ConfigurationError`.
    """

    def command(**flags: str | None) -> None:
        function(settings.load(flags))

    parameters = [_parameter(row) for row in settings.rows()]
    command.__name__ = function.__name__
    command.__doc__ = function.__doc__
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return command


def _parameter(row: Row) -> inspect.Parameter:
    option = typer.Option(row.flag, help=described(row), metavar=METAVARS.get(_kind(row), "TEXT"))
    annotation = Annotated[str | None, option]
    return inspect.Parameter(row.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _kind(row: Row) -> Any:
    """The type of a setting without its limits."""
    return get_args(row.kind)[0]


def described(row: Row) -> str:
    """A setting's help with its choices, environment variable and default, as the command line shows it."""
    choices = f": {', '.join(get_args(_kind(row)))}" if get_origin(_kind(row)) is Literal else ""
    default = f", default {shown_default(row)}" if row.default != "" else ""
    return f"{row.help}{choices} ({row.environment}{default})"


def shown_default(row: Row) -> str:
    """A default as one would write it in the environment or as a flag."""
    return str(row.default).lower() if isinstance(row.default, bool) else str(row.default)


def server_address(base_url: str | None) -> str:
    """The address of the API: the one given, or that of the server which this machine's settings describe."""
    return base_url.rstrip("/") if base_url else f"{own_root(settings.load())}/v1"


def own_root(chosen: Settings) -> str:
    """Where the server of these settings' data folder is reached; while it runs, it says its port itself.

    Raises `ConfigurationError` if nobody knows the port.
    """
    running = standing.read(chosen.home_path)
    port = (running.port if running else 0) or chosen.port
    if port == 0:
        raise ConfigurationError("the server's port is not known", fix="give --base-url")
    host = local_host(chosen)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def local_host(chosen: Settings) -> str:
    """The host that reaches a server on this machine: one that listens on every address has a nearest one."""
    return {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(chosen.host, chosen.host)


def required_key(key: str | None) -> str:
    """The key given, or `ConfigurationError` saying how to make one."""
    if not key:
        raise ConfigurationError(
            "no API key is given",
            fix="make one with `antiphon keys create`, then set OPENAI_API_KEY or give --key",
        )
    return key

"""`antiphon import`: what another proxy was configured with, taken over as far as there is a counterpart."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Sized
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from antiphon import settings
from antiphon.cli.options import Home, Json
from antiphon.cli.output import CommandFailed, plain

if TYPE_CHECKING:
    from antiphon.operations.importing.plan import Key, Plan

PIPE_WIDTH = 200

imports = typer.Typer(help="Take over the models of another proxy's configuration.", no_args_is_help=True)


@imports.callback()
def group() -> None:
    """A group, so that its one command has a name."""


@imports.command()
def litellm(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="LiteLLM's config.yaml.")],
    apply: Annotated[bool, typer.Option("--apply", help="Write what is new into models.toml.")] = False,
    env_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="NAME=value lines, for os.environ/NAME beside the environment."),
    ] = None,
    context: Annotated[
        int, typer.Option(min=1, help="Tokens of context of a chat model where the configuration says none.")
    ] = 8192,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Say what becomes of each entry of LiteLLM's config.yaml; with --apply write the models that are new.

    Models at URLs become snapshots and aliases in models.toml; what stands there stays. Keys are neither
    shown nor written: the plan says where each has to be put.
    """
    # Imported here, since the catalogue and YAML are slow to import.
    from antiphon.catalogue.additions import append, tables
    from antiphon.catalogue.document import FILE_NAME
    from antiphon.catalogue.store import ModelStore
    from antiphon.cli.administration import acted

    chosen = settings.load({"home": home})
    path = chosen.home_path / FILE_NAME
    found = _planned(config, env_file, context, chosen, path)
    if apply and not found.empty:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        text = tables(found.tables())
        data = {"snapshots": [one.id for one in found.snapshots], "aliases": found.aliases}
        acted(
            home,
            "models.imported",
            {"data": data},
            lambda: append(path, text, ModelStore(chosen.home_path)),
        )
    if as_json:
        typer.echo(json.dumps(msgspec.to_builtins(found) | {"written": apply and not found.empty}))
        return
    _show(found, path, _tasks(found, config, env_file, chosen.upstreams), applied=apply)


def _planned(
    config: Path, env_file: Path | None, context: int, chosen: settings.Settings, path: Path
) -> Plan:
    from antiphon.catalogue.document import document, laid_over, parsed, read
    from antiphon.operations.importing import reading
    from antiphon.operations.importing.planning import Place, plan

    text = read(path)
    place = Place(
        home=chosen.home_path,
        written=parsed(path, text),
        shipped_names=laid_over({}).aliases.keys(),
        snapshots=document(path, text).snapshots.keys(),
        upstreams=chosen.upstreams,
        today=datetime.now(UTC).date(),
        context=context,
    )
    said = {} if env_file is None else reading.variables(_text(env_file), str(env_file))
    wanted = reading.config(_text(config), str(config))
    return plan(wanted, str(config), {**said, **os.environ}, place)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as problem:
        raise CommandFailed(f"{path} cannot be read: {problem.strerror}") from None
    except UnicodeDecodeError:
        raise CommandFailed(f"{path} is no text in UTF-8") from None


def _show(found: Plan, path: Path, tasks: dict[str, list[str]], *, applied: bool) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for heading in ("Entry", "Name", "Here", "What becomes of it"):
        table.add_column(heading, no_wrap=heading == "Here", overflow="fold")
    for line in found.lines:
        # Text, since what others wrote may look like rich's markup.
        table.add_row(*(Text(plain(cell)) for cell in (line.place, line.name, line.fate, line.text)))
    console = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)
    console.print(table)
    for number, (heading, texts) in enumerate(tasks.items(), 1):
        typer.echo(f"\n{number}. {heading}")
        for text in texts:
            typer.echo(f"   {plain(text)}")
    typer.echo(f"\n{_outcome(found, path, applied=applied)}")


def _tasks(found: Plan, config: Path, env_file: Path | None, allowed: str) -> dict[str, list[str]]:
    """What people have to do, under headings; nothing that is done already is in it."""
    from antiphon.operations.importing.remarks import KEYS

    tasks: dict[str, list[str]] = {}
    missing = [key for key in found.keys if not Path(key.file).is_file()]
    if missing:
        tasks["Put the keys of upstreams where they are read, for Antiphon's eyes alone:"] = [
            *([] if env_file is None else [f"set -a; . {shlex.quote(str(env_file.absolute()))}; set +a"]),
            *(_put(key, config) for key in missing),
        ]
    if found.origins:
        both = " ".join(dict.fromkeys([*allowed.split(), *found.origins]))
        tasks[
            "Allow the servers to be asked, in antiphon.toml or the environment; else no server starts:"
        ] = [
            f"upstreams = {json.dumps(both)}",
            f"export ANTIPHON_UPSTREAMS={shlex.quote(both)}",
        ]
    if found.pulls:
        tasks["Bring these models to this machine, if they are to be served here:"] = list(found.pulls)
    if found.guesses:
        tasks["Look at what had to be assumed, in models.toml once it is written:"] = list(found.guesses)
    tasks["Make new keys for those who ask:"] = [
        KEYS,
        "antiphon keys create --project TEAM --name APPLICATION",
    ]
    if not found.empty or found.keys:
        tasks["See whether every upstream answers, takes its key and has its model:"] = ["antiphon doctor"]
    return tasks


def _put(key: Key, config: Path) -> str:
    """How a key gets into its file; the key is in none of it."""
    file = shlex.quote(key.file)
    folder = shlex.quote(str(Path(key.file).parent))
    if key.variable:
        unset = "" if key.known else f"   # {key.variable} is not set here"
        return f"(umask 077; mkdir -p {folder}; printenv {shlex.quote(key.variable)} > {file}){unset}"
    return f"(umask 077; mkdir -p {folder}; cat > {file})   # what {config} says at {key.places[0]}"


def _outcome(found: Plan, path: Path, *, applied: bool) -> str:
    counts = f"{_count(found.snapshots, 'snapshot')} and {_count(found.aliases, 'name')}"
    if found.empty:
        return f"There is nothing new for {path}."
    if applied:
        return f"{path} has {counts} more. A server that runs takes them over, once they are allowed."
    return f"Nothing was written. --apply adds {counts} to {path}."


def _count(things: Sized, what: str) -> str:
    number = len(things)
    return f"{number} {what}{'' if number == 1 else 's'}"

"""`antiphon models`: list, pull, verify and remove the models of this machine."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    DownloadColumn,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as Bars
from rich.table import Table
from rich.text import Text

from antiphon import settings
from antiphon.catalogue import preparing
from antiphon.catalogue import pull as pulling
from antiphon.catalogue.catalogue import Catalogue, load
from antiphon.catalogue.choices import choices
from antiphon.catalogue.entries import Entry
from antiphon.catalogue.store import ModelStore, Progress
from antiphon.cli.administration import acted
from antiphon.cli.options import ExistingHome, Home, Json
from antiphon.cli.output import err_console, line
from antiphon.errors import ConfigurationError
from antiphon.settings import DATABASE_NAME

PIPE_WIDTH = 400

models = typer.Typer(help="List, pull, verify and remove models.", no_args_is_help=True)


@models.command("list")
def list_models(as_json: Json = False, home: Home = None) -> None:
    """List every model of the catalogue: whether it is installed and served, and the names it answers to."""
    rows = _rows(current(settings.load({"home": home})))
    if as_json:
        typer.echo(json.dumps([msgspec.structs.asdict(row) for row in rows]))
    else:
        # A pipe has no width: nothing is folded for it.
        Console(width=None if sys.stdout.isatty() else PIPE_WIDTH).print(_table(rows))


@models.command()
def pull(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A snapshot of the catalogue, hf:ORG/REPO[/FILE.gguf][@REVISION], or the path of a GGUF "
            "file or of a folder: safetensors of a chat model, or CTranslate2.",
        ),
    ],
    name: Annotated[
        str | None, typer.Option(help="What to call a model from the hub or a path; best with a date in it.")
    ] = None,
    alias: Annotated[str | None, typer.Option(help="A further name that clients may use for it.")] = None,
    template: Annotated[
        str | None, typer.Option(help="A chat template that ships with Antiphon, instead of the model's own.")
    ] = None,
    home: Home = None,
) -> None:
    """Bring a model to this machine, or mend it; a broken download goes on where it stopped.

    Every file is checked by its sha256. From the hub or a path, the model enters the catalogue under --name.
    """
    chosen = settings.load({"home": home})
    folder = chosen.home_path
    with progress_bars() as progress:
        if name is None:
            entry = _named(load(folder), model, "for a model of the hub or a path, add --name")
            ModelStore(folder).install(entry, progress)
        else:
            entry = pulling.pull(folder, model, name, alias=alias, template=template, progress=progress)
    store = ModelStore(folder)
    preparing.forget_failures(store, entry)
    prepare(store, entry, chosen)
    acted(home, "model.installed", {"id": entry.id, "data": {"source": model, "alias": alias}}, list)
    served = entry.id in load(folder).served
    typer.echo(
        f"{entry.id} is installed ({decimal(entry.size)}). "
        + ("A server that runs starts its engine now." if served else "To serve it, point an alias to it.")
    )


@models.command()
def verify(
    model: Annotated[
        str | None,
        typer.Argument(metavar="[MODEL]", help="Only this one, instead of all that are installed."),
    ] = None,
    home: ExistingHome = None,
) -> None:
    """Hash every file of the installed models anew. The exit code is 1 if any is missing or damaged."""
    folder = _folder(home)
    catalogue = load(folder)
    chosen = (
        [_named(catalogue, model)]
        if model
        else [entry for id in sorted(catalogue.installed) if (entry := catalogue.entries[id]).site is None]
    )
    damaged = 0
    for entry in chosen:
        if entry.site is not None:
            raise ConfigurationError(
                f"'{entry.id}' is served elsewhere, and has no files here", fix="ask it with antiphon doctor"
            )
        try:
            with progress_bars() as progress:
                ModelStore(folder).verify(entry, progress)
        except ConfigurationError as problem:
            damaged += 1
            typer.echo(line(problem.message, problem.fix), err=True)
        else:
            typer.echo(f"{entry.id} is whole ({decimal(entry.size)})")
    if damaged:
        raise typer.Exit(1)


@models.command()
def remove(
    model: Annotated[str, typer.Argument(metavar="SNAPSHOT", help="The snapshot whose files are deleted.")],
    home: ExistingHome = None,
) -> None:
    """Delete a snapshot's files. Its entry stays in the catalogue, so it can be pulled again.

    Refused while an alias means it, or will, and while a dedicated instance of it is sold.
    """
    chosen = settings.load({"home": home})
    catalogue, store = current(chosen), ModelStore(chosen.home_path)
    _unused(catalogue, model)

    def act() -> None:
        if entry := catalogue.entries.get(model):
            preparing.remove(store, entry)
        if not store.remove(model):
            raise ConfigurationError(f"There are no files of '{model}'", fix="see antiphon models list")

    acted(home, "model.deleted", {"id": model}, act)
    typer.echo(f"{model} is removed. A server that runs stops serving it.")


def prepare(store: ModelStore, entry: Entry, chosen: settings.Settings) -> None:
    """Make what the entry's engines need of its files, unless it is there.

    An engine that cannot have it is told on stderr, and the next one chosen; without another, raises
    `ConfigurationError`.
    """
    preparing.forget_failures(store, entry, all=False)
    failed: set[str] = set()
    while lacking := [
        choice.kind
        for choice in choices(entry, store, chosen)
        if not preparing.ready(store, entry, choice.kind)
    ]:
        kind = lacking[0]
        try:
            typer.echo(
                f"Making {entry.id} ready for {kind.name}, once. A small model takes half a minute:", err=True
            )
            with progress_bars(TimeElapsedColumn()) as progress:
                preparing.prepare(store, entry, kind, progress)
        except ConfigurationError as problem:
            if kind.name in failed or len(entry.engines) == 1:
                raise
            failed.add(kind.name)
            typer.echo(f"{entry.id} is served without {kind.name}. {problem.message}", err=True)


def current(chosen: settings.Settings) -> Catalogue:
    """The catalogue as a server knows it now, with what was changed while servers ran."""
    folder = chosen.home_path
    if not chosen.database and not (folder / DATABASE_NAME).exists():
        return load(folder)  # no server ever ran here
    # Imported here, since every other command starts without a database.
    from antiphon.access.pepper import connected
    from antiphon.catalogue.changes import Changes
    from antiphon.catalogue.live import changed
    from antiphon.storage.migrations import upgrade

    async def run() -> Catalogue:
        async with await connected(chosen.database_url, folder) as database:
            await upgrade(database)
            return await changed(folder, Changes(database))

    return asyncio.run(run())


def _unused(catalogue: Catalogue, snapshot: str) -> None:
    """Raises `ConfigurationError` if somebody would miss a snapshot that is installed."""
    if snapshot not in catalogue.installed:
        return
    names = [
        alias
        for alias in catalogue.aliases
        if snapshot in {catalogue.meaning(alias), *(one.snapshot for one in catalogue.coming(alias))}
    ]
    if names:
        raise ConfigurationError(
            f"'{snapshot}' is needed: it is what {', '.join(names)} means or will mean",
            fix="antiphon models switch ALIAS ANOTHER, and antiphon models cancel for what is announced",
        )
    for one in catalogue.sold:
        if one.snapshot == snapshot:
            raise ConfigurationError(
                f"'{snapshot}' is needed: it is sold as {one.id}",
                fix=f"antiphon dedicated delete {one.id} --org {one.organization_id}, or wait for its end",
            )


def _folder(home: str | None) -> Path:
    return settings.load({"home": home}).home_path


def _named(catalogue: Catalogue, name: str, advice: str = "see antiphon models list") -> Entry:
    alias = catalogue.aliases.get(name)
    entry = catalogue.entries.get(alias.snapshot if alias else name)
    if entry is None:
        raise ConfigurationError(f"The catalogue has no model '{name}'", fix=advice)
    return entry


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    """One name that a client may ask for; `size` is in bytes, None of what is served elsewhere."""

    id: str
    kind: str
    alias_of: str | None
    stand_in: bool
    installed: bool
    size: int | None
    served: bool


def _rows(catalogue: Catalogue) -> list[_Row]:
    """The aliases first, then the snapshots."""
    aliases = catalogue.aliases.items()
    named = [(name, catalogue.entries[catalogue.meaning(name)], alias) for name, alias in aliases]
    return [
        _Row(
            id=name,
            kind=entry.task,
            alias_of=entry.id if alias else None,
            stand_in=alias.stand_in if alias else False,
            installed=entry.id in catalogue.installed,
            size=entry.size if entry.site is None else None,
            served=entry.id in catalogue.served,
        )
        for name, entry, alias in [*named, *((id, entry, None) for id, entry in catalogue.entries.items())]
    ]


def _table(rows: list[_Row]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("Model", "Kind", "Alias of", "Installed", "Size", "Served"):
        table.add_column(heading, no_wrap=True, justify="right" if heading == "Size" else "left")
    for row in rows:
        alias_of = f"{row.alias_of}{' (stand-in)' if row.stand_in else ''}" if row.alias_of else ""
        installed, served = ("yes" if flag else "no" for flag in (row.installed, row.served))
        here = ("", "elsewhere") if row.size is None else (installed, decimal(row.size))
        cells = (row.id, row.kind, alias_of, *here, served)
        # Text, since a name may look like rich's markup.
        table.add_row(*map(Text, cells))
    return table


@contextmanager
def progress_bars(*told: ProgressColumn) -> Iterator[Progress]:
    """A bar for each file or step on stderr, with what is `told` of it: by default bytes, rate and time left.

    One that is done in one go moves until it is.
    """
    said = told or (DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Bars(TextColumn("{task.description}"), BarColumn(), *said, console=err_console()) as bars:
        tasks = {}

        def show(file: str, done: int, total: int) -> None:
            if file not in tasks:
                tasks[file] = bars.add_task(file, total=None)
            bars.update(tasks[file], completed=done, total=total if done or total > 1 else None)

        yield show

"""`antiphon backup` and `antiphon restore`: the whole state in two files, and back from them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.filesize import decimal
from typer.core import TyperGroup

from antiphon import settings
from antiphon.cli.options import ExistingHome, Home, Json
from antiphon.cli.output import plain
from antiphon.home import home_folder

_MAKE, _VERIFY = "make", "verify"
Keys = Annotated[
    Path | None, typer.Option("--keys", help="The file of keys, if it does not lie beside that of data.")
]


class _Group(TyperGroup):
    """A first word that is no command of the group is where a backup is made."""

    def parse_args(self, context: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ("--help",):
            args = [_MAKE, *args]
        return super().parse_args(context, args)


backup = typer.Typer(
    cls=_Group,
    no_args_is_help=True,
    help="Copy the whole state of a server while it runs: antiphon backup FOLDER. And check such copies.",
)


@backup.command(_MAKE)
def make(
    place: Annotated[Path, typer.Argument(help="A folder, or the file of data, which ends in .tar.")],
    models: Annotated[
        bool, typer.Option("--models", help="Also the files of models, which can be pulled again.")
    ] = False,
    as_json: Json = False,
    home: ExistingHome = None,
) -> None:
    """Copy the whole state, of one moment: `antiphon backup FOLDER` is the same.

    It becomes two files: data, with the time in its name, and keys, of which a folder keeps only the newest
    file, so that what was forgotten stays so. Both are needed to restore. Keep copies of them apart.

    That a copy was made is written into the audit log.
    """
    from antiphon.cli.models import progress_bars
    from antiphon.operations.backup import back_up

    chosen = settings.load({"home": home})
    with progress_bars() as show:
        done = asyncio.run(back_up(chosen, place.absolute(), show, models=models))
    if as_json:
        typer.echo(
            msgspec.json.encode(
                msgspec.structs.asdict(done) | {"data": str(done.data), "keys": str(done.keys)}
            )
        )
        return
    typer.echo(f"{done.data}\n{done.keys}\n{decimal(done.bytes)}. To restore: antiphon restore {done.data}")
    if done.note:
        typer.echo(done.note, err=True)
    if done.left_out:
        typer.echo(
            f"Not copied, for Antiphon did not make them: {', '.join(map(plain, done.left_out))}.", err=True
        )


@backup.command(_VERIFY)
def verify(
    data: Annotated[Path, typer.Argument(help="The file of data.")], keys: Keys = None, as_json: Json = False
) -> None:
    """Read a backup to its end, and compare every file with its sha256."""
    from antiphon.cli.models import progress_bars
    from antiphon.operations.restore import keys_beside, verified

    with progress_bars() as show:
        found, opening = verified(data, keys or keys_beside(data), show)
    assert opening is not None
    shown = {
        "version": found.version,
        "revision": found.revision,
        "made_at": found.made_at,
        "keys_made_at": opening.made_at,
        "database": found.kind,
        "files": {**found.files, **opening.files},
    }
    if as_json:
        typer.echo(msgspec.json.encode(shown))
        return
    for manifest in (found, opening):
        made = datetime.fromtimestamp(manifest.made_at, UTC)
        typer.echo(
            f"{manifest.artefact}: whole, of {made:%Y-%m-%d %H:%M:%S} UTC, {len(manifest.files)} files"
        )
    typer.echo(f"made by Antiphon {found.version}, {found.kind}, revision {found.revision or 'none'}")


def restore(
    data: Annotated[Path, typer.Argument(help="The file of data of a backup.")],
    keys: Keys = None,
    database: Annotated[
        str, typer.Option("--database", help="An empty database, for a backup of one that is no file.")
    ] = "",
    content_keys: Annotated[
        str,
        typer.Option(
            "--content-keys", help="An empty database, for keys of one that the setting content_keys named."
        ),
    ] = "",
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Restore a backup into an empty data folder; one of an older version is upgraded.

    Nothing is there until every file was found to be as it was written. That it was restored is written into
    its audit log.
    """
    from antiphon.cli.models import progress_bars
    from antiphon.operations.restore import keys_beside
    from antiphon.operations.restore import restore as run

    folder = home_folder({"home": home})
    with progress_bars() as show:
        done = asyncio.run(
            run(data, keys or keys_beside(data), folder, database, show, keys_url=content_keys)
        )
    if as_json:
        typer.echo(msgspec.json.encode(msgspec.structs.asdict(done) | {"home": str(done.home)}))
        return
    made = datetime.fromtimestamp(done.made_at, UTC)
    typer.echo(f"{done.home} is as it was on {made:%Y-%m-%d %H:%M:%S} UTC: {done.files} files.")
    if done.forgotten:
        typer.echo(f"{done.forgotten} requests are left out: their keys were destroyed since then.")
    if done.note:
        typer.echo(done.note)
    typer.echo("Check the books with `antiphon ledger verify` after the first start.")

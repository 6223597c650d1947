"""`antiphon models compare`: the evidence for a switch from one model to another, from a running server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich import progress as bars

from antiphon import settings
from antiphon.cli.options import BaseUrl, Home, Json, Key, required_key, server_address
from antiphon.cli.output import CommandFailed, ExitCode, err_console, line, try_file, unwritable

if TYPE_CHECKING:
    from antiphon.cli.client import Client
    from antiphon.cli.comparison import Compared, Named, Summary
    from antiphon.cli.prompts import Prompt
    from antiphon.cli.replay import Replay
    from antiphon.wire.models import Model

NAMES_SHOWN = 20
PROMPTS = 10_000


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="An alias or a snapshot, for instance today's.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The one that might take its place.")],
    prompts: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            readable=True,
            help="A prompt on each line: text in FILE.txt; else JSON, a body of chat completions or a line "
            "of a batch. At most 10,000.",
        ),
    ] = None,
    recent: Annotated[
        int | None,
        typer.Option(
            min=1, max=PROMPTS, help="Or the last so many chats of an organization, as far as they are kept."
        ),
    ] = None,
    org: Annotated[
        str, typer.Option("--organization", "--org", help="The organization, by name or id.")
    ] = "default",
    agreed_by: Annotated[
        str | None, typer.Option(help="Who of the organization agreed to that; it is in its audit log.")
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=256, help="Requests at once.")] = 4,
    max_tokens: Annotated[
        int | None, typer.Option(min=1, help="Longest answer, in tokens, to prompts that set no bound.")
    ] = None,
    show: Annotated[int, typer.Option(min=0, help="So many of the most different answers are shown.")] = 5,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            dir_okay=False,
            writable=True,
            help="Write everything as JSON: the figures, and all prompts and answers in full.",
        ),
    ] = None,
    as_json: Json = False,
    base_url: BaseUrl = None,
    key: Key = None,
    home: Home = None,
) -> None:
    """Replay prompts on two models of a running server: how answers, latency and cost differ.

    Both get the same requests, in turns; temperature is 0 and the seed fixed unless a prompt says otherwise.
    Prices are those of the catalogue of this machine. Ctrl-C shows what was measured so far. The exit code is
    1 if a request failed.
    """
    asked = _asked(prompts, recent, org, agreed_by, max_tokens, home)
    if out:
        try_file(out)
    # What an organization asked is kept by its policy alone, and not once more by that of the key.
    client = _client(server_address(base_url), required_key(key), kept=recent is None)
    summary, found = _compared(client, (a, b), asked, concurrency, home)
    _tell(summary, found, show, out, as_json)


def _client(address: str, key: str, *, kept: bool) -> Client:
    # Imported here, since the HTTP library would slow down every other command.
    from antiphon.cli.client import Client

    return Client(address, key, kept=kept)


def _compared(
    client: Client, models: tuple[str, str], asked: list[Prompt], concurrency: int, home: str | None
) -> tuple[Summary, Sequence[Compared]]:
    from antiphon.cli.comparison import compared, summary
    from antiphon.cli.replay import Replay

    sides = _named(asyncio.run(client.models()), models, home)
    replay = Replay(client, models, asked)
    interrupted = _interrupted(replay, len(asked), concurrency)
    found = compared(replay.pairs)
    return summary(found, *sides, prompts=len(asked), interrupted=interrupted), found


def _asked(
    prompts: Path | None,
    recent: int | None,
    org: str,
    agreed_by: str | None,
    max_tokens: int | None,
    home: str | None,
) -> list[Prompt]:
    from antiphon.cli.prompts import read

    if (prompts is None) == (recent is None):
        raise CommandFailed(
            "it is not said what to ask", fix="give --prompts or --recent", exit_code=ExitCode.USAGE
        )
    if prompts is not None:
        return read(prompts, max_tokens)
    if not agreed_by:
        raise CommandFailed(
            "nobody of the organization is said to agree that its requests are asked again",
            fix="give --agreed-by",
            exit_code=ExitCode.USAGE,
        )
    from antiphon.cli.recent import recent as lately

    assert recent is not None
    return lately(home, org, recent, agreed_by, max_tokens)


def _tell(summary: Summary, found: Sequence[Compared], show: int, out: Path | None, as_json: bool) -> None:
    """Print and write the report. Ends the command with a code of its own unless all is well."""
    from antiphon.cli import side_by_side
    from antiphon.cli.comparison import most_different

    if as_json:
        typer.echo(_json(summary))
    else:
        side_by_side.show(summary, most_different(found, show))
    if out:
        _write(out, _json({"summary": summary, "prompts": found}) + "\n")
    if summary.interrupted:
        typer.echo(line("interrupted: this is what was measured so far"), err=True)
        raise typer.Exit(ExitCode.INTERRUPTED)
    if not summary.whole:
        raise typer.Exit(ExitCode.FAILED)


def _named(listed: Sequence[Model], names: tuple[str, str], home: str | None) -> list[Named]:
    """What the names mean on the server, with today's prices in the catalogue of this machine.

    Raises `CommandFailed` for a name that the server does not list.
    """
    from antiphon.catalogue.catalogue import load
    from antiphon.cli.comparison import Named
    from antiphon.ledger.prices import effective

    snapshots = {model.id: model.alias_of or model.id for model in listed}
    for name in names:
        if name not in snapshots:
            raise CommandFailed(
                f"the server has no model '{name}'",
                fix=f"name one of {', '.join(list(snapshots)[:NAMES_SHOWN])}",
                exit_code=ExitCode.REFUSED,
            )
    entries = load(settings.load({"home": home}).home_path).entries
    today = datetime.now(UTC).date()
    return [
        Named(
            model=name,
            snapshot=snapshots[name],
            price=effective(entries[snapshots[name]].prices, today) if snapshots[name] in entries else None,
        )
        for name in names
    ]


def _interrupted(replay: Replay, prompts: int, concurrency: int) -> bool:
    """Ask everything, with a progress bar on stderr. Gives whether somebody broke it off."""
    with _shown(replay, 2 * prompts):
        try:
            asyncio.run(replay.run(concurrency))
        except KeyboardInterrupt:
            return True
    return False


@contextmanager
def _shown(replay: Replay, requests: int) -> Iterator[None]:
    console = err_console()
    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TextColumn("{task.fields[told]}"),
        bars.TimeRemainingColumn(),
    )
    # stdout is left alone: the bar would otherwise take what is printed there to stderr.
    with bars.Progress(
        *columns, console=console, transient=True, redirect_stdout=False, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task("comparing", total=requests, told="")

        def show() -> None:
            counts = {"failed": replay.failed, "told to wait": replay.waiting}
            told = ", ".join(f"{number} {what}" for what, number in counts.items() if number)
            progress.update(task, completed=replay.done, told=told)

        replay.changed = show
        yield


def _json(content: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(content)).decode()


def _write(path: Path, text: str) -> None:
    """Write the report, for nobody else to read if it is new: it holds prompts and answers."""
    try:
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
    except OSError as problem:
        raise unwritable(path, problem) from problem

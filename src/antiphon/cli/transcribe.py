"""`antiphon transcribe`: recordings to text through a running server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich import progress as bars

from antiphon.cli.options import BaseUrl, Key, required_key, server_address
from antiphon.cli.output import CommandFailed, ExitCode, err_console, report

Format = Literal["json", "text", "srt", "verbose_json", "vtt"]
ENDINGS = {"json": ".json", "text": ".txt", "srt": ".srt", "verbose_json": ".json", "vtt": ".vtt"}


def transcribe(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE", exists=True, dir_okay=False, readable=True, help="Recordings."),
    ],
    response_format: Annotated[Format, typer.Option("--format", help="What is written.")] = "text",
    output: Annotated[
        Path | None, typer.Option(file_okay=False, help="Write into this folder instead of to stdout.")
    ] = None,
    language: Annotated[str | None, typer.Option(help="ISO 639-1 code; found out, if not given.")] = None,
    prompt: Annotated[str | None, typer.Option(help="Text in the style and with the names expected.")] = None,
    translate: Annotated[bool, typer.Option("--translate", help="Translate into English.")] = False,
    words: Annotated[
        bool, typer.Option("--words", help="Word timestamps; needs --format verbose_json.")
    ] = False,
    model: Annotated[str, typer.Option(help="An alias or a snapshot.")] = "whisper-1",
    base_url: BaseUrl = None,
    key: Key = None,
) -> None:
    """Transcribe recordings. Of several, one that fails does not stop the others; the exit code is 1."""
    # Imported here, since the HTTP library would slow down every other command.
    from antiphon.cli.client import Client

    if words and (translate or response_format != "verbose_json"):
        raise typer.BadParameter("--words needs --format verbose_json, and no --translate")
    if translate and language:
        raise typer.BadParameter("--language is not for --translate, which always gives English")
    targets = _targets(files, response_format, output)
    optional = {"language": language, "prompt": prompt}
    fields = [("model", model), ("response_format", response_format)]
    fields += [(name, value) for name, value in optional.items() if value is not None]
    if words:
        fields += [("timestamp_granularities[]", granularity) for granularity in ("segment", "word")]
    client = Client(server_address(base_url), required_key(key))

    def one(file: Path, target: Path | None) -> None:
        with _shown(file) as progress:
            text = asyncio.run(client.transcribe(file, fields, translate=translate, progress=progress))
        _write(text, target)

    _each(targets, one)


def _each(targets: dict[Path, Path | None], one: Callable[[Path, Path | None], None]) -> None:
    """Do `one` for every file. A single file's failure is the command's; of several, each is reported."""
    failed = []
    for file, target in targets.items():
        try:
            one(file, target)
        except CommandFailed as problem:
            problem.message = f"{file}: {problem.message}"
            if len(targets) == 1 or problem.exit_code == ExitCode.UNREACHABLE:
                raise
            report(problem)
            failed.append(str(file))
    if failed:
        raise CommandFailed(f"{len(failed)} of {len(targets)} files failed: {', '.join(failed)}")


def _targets(files: list[Path], response_format: str, output: Path | None) -> dict[Path, Path | None]:
    """Where each file's transcript goes; None is stdout."""
    if output is None:
        return dict.fromkeys(files)
    targets: dict[Path, Path | None] = {
        file: output / (file.stem + ENDINGS[response_format]) for file in files
    }
    if len(set(targets.values())) < len(targets):
        raise typer.BadParameter("two files of the same name would overwrite each other's transcript")
    return targets


def _write(text: str, target: Path | None) -> None:
    whole = text if text.endswith("\n") else text + "\n"
    if target is None:
        typer.echo(whole, nl=False)
        return
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(whole, encoding="utf-8")
    except OSError as problem:
        raise CommandFailed(f"{target} cannot be written: {problem.strerror}") from problem


@contextmanager
def _shown(file: Path) -> Iterator[Callable[[int], None]]:
    """A progress bar on stderr, and the function that moves it: bytes read, then waiting for the text."""
    console = err_console()
    size = file.stat().st_size
    columns = (
        bars.TextColumn("{task.description}", markup=False),
        bars.BarColumn(),
        bars.DownloadColumn(),
        bars.TimeElapsedColumn(),
    )
    # stdout is left alone: the bar would otherwise take what is printed there to stderr.
    with bars.Progress(
        *columns, console=console, transient=True, redirect_stdout=False, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task(f"{file.name} uploading", total=size)

        def moved(done: int) -> None:
            progress.update(task, completed=done)
            if done >= size:
                progress.update(task, description=f"{file.name} transcribing")
                progress.tasks[0].total = None  # from here on nobody knows how far it is: the bar pulses

        yield moved

"""`antiphon transcribe`: recordings to text through a running server."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich import progress as bars

from antiphon.cli.options import BaseUrl, Key, required_key, server_address
from antiphon.cli.output import CommandFailed, ExitCode, err_console, report
from antiphon.values import SpeechTask

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
    fields = [("model", model)]
    fields += [(name, value) for name, value in optional.items() if value is not None]
    granularities = ("segment", "word") if words else ()
    fields += [("timestamp_granularities[]", granularity) for granularity in granularities]
    client = Client(server_address(base_url), required_key(key))

    def one(file: Path, target: Path | None) -> None:
        with _shown(file) as bar:
            transcript = asyncio.run(
                client.transcribe(file, fields, translate=translate, sent=bar.sent, heard=bar.heard)
            )
        task: SpeechTask = "translate" if translate else "transcribe"
        _write(transcript.written(response_format, task=task, granularities=granularities), target)

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
    _try_out(output)
    return targets


def _try_out(folder: Path) -> None:
    """Make the folder, and see now that it takes files: transcripts are paid before they are written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as problem:
        raise CommandFailed(f"{folder} cannot be written: {problem.strerror}") from problem


def _write(text: str, target: Path | None) -> None:
    whole = text if text.endswith("\n") else text + "\n"
    if target is None:
        typer.echo(whole, nl=False)
        return
    try:
        target.write_text(whole, encoding="utf-8")
    except OSError as problem:
        raise CommandFailed(f"{target} cannot be written: {problem.strerror}") from problem


class _Bar:
    """How far one recording is: bytes read for the upload, then seconds of sound transcribed."""

    def __init__(self, progress: bars.Progress, name: str, size: int) -> None:
        self._progress, self._name, self._size = progress, name, size
        self._task = progress.add_task("", total=size, far="")
        self.sent(0)

    def sent(self, done: int) -> None:
        """So many bytes are read. After the last nothing is known for a while: the bar pulses."""
        if done < self._size:
            self._show("uploading", f"{done / 1e6:.1f}/{self._size / 1e6:.1f} MB", done, self._size)
        else:
            self._show("waiting", f"{self._size / 1e6:.1f} MB", 0, None)

    def heard(self, seconds: float, total: float | None) -> None:
        """So many seconds are transcribed, of `total`; None if that is not known."""
        seconds = min(seconds, total or seconds)
        far = f"{_clock(seconds)}/{_clock(total)}" if total else _clock(seconds)
        self._show("transcribing", far, seconds, total)

    def _show(self, doing: str, far: str, done: float, total: float | None) -> None:
        self._progress.update(
            self._task, description=f"{self._name} {doing}", far=far, completed=done, total=total
        )
        # None in `update` leaves the total as it is.
        self._progress.tasks[self._task].total = total


def _clock(seconds: float) -> str:
    """`1:02:03`, or `2:03` of less than an hour."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


@contextmanager
def _shown(file: Path) -> Iterator[_Bar]:
    """A progress bar on stderr."""
    console = err_console()
    columns = (
        bars.TextColumn("{task.description}", markup=False),
        bars.BarColumn(),
        bars.TextColumn("{task.fields[far]}", markup=False),
        bars.TimeElapsedColumn(),
    )
    # stdout is left alone: the bar would otherwise take what is printed there to stderr.
    with bars.Progress(
        *columns, console=console, transient=True, redirect_stdout=False, disable=not console.is_terminal
    ) as progress:
        yield _Bar(progress, file.name, file.stat().st_size)

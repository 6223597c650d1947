"""How every command speaks: results on stdout, everything else on stderr, failures as one line and a code."""

from __future__ import annotations

import os
import tempfile
import traceback
from enum import IntEnum
from pathlib import Path

import typer
from rich.console import Console

from antiphon.errors import AntiphonError, ConfigurationError


class ExitCode(IntEnum):
    """What a script may rely on; 2 (wrong usage) and 130 (interrupted) come from the option parser."""

    OK = 0
    FAILED = 1
    USAGE = 2
    CONFIGURATION = 3
    UNREACHABLE = 4
    REFUSED = 5
    INTERRUPTED = 130


class CommandFailed(Exception):
    """A command that could not do its work: one line for people, an exit code for scripts."""

    def __init__(self, message: str, *, fix: str = "", exit_code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix
        self.exit_code = exit_code


def try_file(path: Path) -> None:
    """See now that a file can be written, before what is to be in it is paid for. Raises `CommandFailed`."""
    try:
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as problem:
        raise unwritable(path, problem) from problem


def unwritable(path: Path, problem: OSError) -> CommandFailed:
    return CommandFailed(f"{path} cannot be written: {problem.strerror}")


def err_console() -> Console:
    """The console for progress and remarks: stderr, so that stdout stays clean for pipes."""
    return Console(stderr=True)


def plain(text: str) -> str:
    """`text` without control characters but newline and tab: what a server sends cannot steer a terminal."""
    return "".join(letter for letter in text if letter in "\n\t" or _shown(ord(letter)))


def _shown(code: int) -> bool:
    return code >= 0xA0 or 0x20 <= code < 0x7F


def line(message: str, fix: str = "") -> str:
    """The one line that a failure is: what is wrong, then what to do."""
    words = " ".join(plain(message).split()).rstrip(".")
    return f"antiphon: {words}." + (f" Fix: {' '.join(plain(fix).split())}" if fix else "")


def report(problem: Exception) -> ExitCode:
    """Say on stderr why a command failed, in one line. Gives the exit code.

    Of an unexpected exception only the class is shown, since its text may hold anything; with
    ANTIPHON_LOG_LEVEL=debug the traceback follows.
    """
    match problem:
        case CommandFailed():
            typer.echo(line(problem.message, problem.fix), err=True)
            return problem.exit_code
        case ConfigurationError():
            typer.echo(line(problem.message, problem.fix), err=True)
            return ExitCode.CONFIGURATION
        case AntiphonError():
            typer.echo(line(problem.message), err=True)
            return ExitCode.FAILED
    if os.environ.get("ANTIPHON_LOG_LEVEL", "").lower() == "debug":
        traceback.print_exception(problem)
    fix = "report it in Antiphon's issue tracker; ANTIPHON_LOG_LEVEL=debug shows where it happened"
    typer.echo(line(f"unexpected {type(problem).__name__}", fix), err=True)
    return ExitCode.FAILED

"""`antiphon restart`: a new server takes over from the one that runs, and no request fails for it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from antiphon import settings
from antiphon.cli import standing
from antiphon.cli.options import Home, Json
from antiphon.cli.output import CommandFailed, ExitCode, err_console
from antiphon.cli.standing import Standing

_LOOK_SECONDS = 0.1
_SPARE_SECONDS = 30.0
"""Beyond the settings, for what goes on before and after the waits that these bound."""
_FIX = "start one with `antiphon serve`"


def restart(
    pause: Annotated[
        bool,
        typer.Option(
            "--pause",
            help="End the old server before the new one starts: needs no memory for two, but connections "
            "wait until it is ready.",
        ),
    ] = False,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Let a new server take over from the running one, with its settings read anew: for an upgrade, too.

    It starts beside the old one, gets its socket once its engines are ready, and the old one ends when its
    last requests have ended. If it does not become ready the old one goes on; the exit code is 1 then.
    """
    chosen = settings.load({"home": home})
    before = _running(chosen.home_path)
    number = signal.SIGUSR2 if pause else signal.SIGHUP
    try:
        os.kill(before.pid, number)
    except (ProcessLookupError, PermissionError) as problem:
        raise CommandFailed(
            f"process {before.pid} cannot be told to restart: {problem.strerror}",
            fix="be the user that the server runs as",
        ) from None
    seconds = (
        chosen.restart_seconds + _SPARE_SECONDS + pause * (chosen.handover_seconds + chosen.drain_seconds)
    )
    with err_console().status("The new server starts …"):
        after = _restarted(chosen.home_path, before, seconds)
    if after.problem:
        ending = "there is no server now" if pause else "the server before goes on"
        raise CommandFailed(f"the restart failed, and {ending}: {after.problem}", fix="see the server's log")
    if as_json:
        typer.echo(msgspec.json.encode(after).decode())
    else:
        typer.echo(f"Antiphon {after.version} serves now, as process {after.server}.")


def _running(home: Path) -> Standing:
    found = standing.read(home)
    if found is None or (found.starting and not found.restarting):
        running = standing.held(home)
        told = "the server that runs there has just begun" if running else "no server runs there"
        raise CommandFailed(
            f"on the data folder {home} nothing can be restarted: {told}",
            fix="try again in a moment" if running else _FIX,
            exit_code=ExitCode.UNREACHABLE,
        )
    if found.restarting:
        raise CommandFailed("a restart is under way already", fix="wait until it is over")
    return found


def _restarted(home: Path, before: Standing, seconds: float) -> Standing:
    """How the server stands after the restart. Raises `CommandFailed` if that takes too long, or it ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not standing.held(home):
            raise CommandFailed("the server has ended", fix="see its log", exit_code=ExitCode.UNREACHABLE)
        found = standing.read(home)
        if found is not None and found.restarts > before.restarts:
            return found
        time.sleep(_LOOK_SECONDS)
    raise CommandFailed(f"the restart did not end within {seconds:g} s", fix="see the server's log")

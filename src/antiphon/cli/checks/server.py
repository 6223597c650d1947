"""The check of the server that runs on the data folder: its version, and how its last restart went."""

from __future__ import annotations

from antiphon import __version__
from antiphon.cli import standing
from antiphon.cli.checks import Finding
from antiphon.settings import Settings


def server(settings: Settings) -> Finding:
    found = standing.read(settings.home_path)
    if found is None:
        return Finding("ok", "none runs on this data folder")
    told = f"process {found.pid}, version {found.version}"
    if found.server != found.pid:
        told += f", requests go to process {found.server}"
    if found.problem:
        again = "mend that, and antiphon restart"
        return Finding("warning", f"{told}; the last restart was given up: {found.problem}", again)
    if found.restarting:
        return Finding("ok", f"{told}; a restart is under way")
    if found.version != __version__:
        return Finding("warning", f"{told}; {__version__} is installed", "antiphon restart")
    return Finding("ok", told)

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest
from msgspec.structs import replace

from antiphon import __version__
from antiphon.cli import standing
from antiphon.cli.checks.server import server
from antiphon.cli.standing import Standing
from antiphon.settings import Settings

NOW = Standing(pid=1, server=1, version=__version__)


@pytest.mark.parametrize(
    ("now", "state", "told"),
    [
        (NOW, "ok", f"process 1, version {__version__}"),
        (replace(NOW, server=2), "ok", "requests go to process 2"),
        (replace(NOW, restarting=True), "ok", "a restart is under way"),
        (replace(NOW, problem="it is bad"), "warning", "given up: it is bad"),
        (replace(NOW, version="0"), "warning", f"{__version__} is installed"),
    ],
)
def test_how_the_server_stands_is_told(tmp_path: Path, now: Standing, state: str, told: str) -> None:
    settings = Settings(home=str(tmp_path))
    assert server(settings).detail == "none runs on this data folder"
    with (tmp_path / standing.LOCK_NAME).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        standing.write(tmp_path, now)
        found = server(settings)
    assert found.state == state and told in found.detail
    assert bool(found.fix) == (state == "warning")

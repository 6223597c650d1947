"""What every test of a command may ask for: a server to talk to, and a runner with settings of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fake_api import Api
from operator_shell import Shell


@pytest.fixture
def api() -> Iterator[Api]:
    api = Api()
    thread = threading.Thread(target=api.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield api
    api.server.shutdown()
    thread.join(10)
    api.server.server_close()


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> CliRunner:
    """Runs commands on a data folder of their own, away from the settings of whoever runs the tests."""
    for name in (
        "OPENAI_API_KEY",
        "ANTIPHON_API_KEY",
        "ANTIPHON_HOST",
        "ANTIPHON_PORT",
        "ANTIPHON_LOG_LEVEL",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ANTIPHON_HOME", str(tmp_path / "home"))
    return CliRunner()


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Runs the operator's commands on a data folder that is not there yet."""
    monkeypatch.delenv("ANTIPHON_DATABASE", raising=False)
    return Shell(tmp_path / "home")

"""What `antiphon restart` says where nothing can be restarted; `paced/test_restart.py` has what can."""

from __future__ import annotations

import fcntl
from pathlib import Path

from typer.testing import CliRunner

from antiphon.cli import standing
from antiphon.cli.main import app
from antiphon.cli.output import CommandFailed, ExitCode
from antiphon.cli.standing import Standing


def failure(runner: CliRunner) -> CommandFailed:
    problem = runner.invoke(app, ["restart"]).exception
    assert isinstance(problem, CommandFailed)
    return problem


def test_without_a_server_there_is_nothing_to_restart(runner: CliRunner, tmp_path: Path) -> None:
    home = tmp_path / "home"
    none = failure(runner)
    assert "no server runs there" in none.message and "antiphon serve" in none.fix
    assert none.exit_code == ExitCode.UNREACHABLE
    home.mkdir()
    with (home / standing.LOCK_NAME).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "has just begun" in failure(runner).message
        standing.write(home, Standing(pid=1, server=1, version="1", starting=True))
        assert "has just begun" in failure(runner).message
        standing.write(home, Standing(pid=1, server=1, version="1", restarting=True))
        assert "under way" in failure(runner).message
        standing.write(home, Standing(pid=2**22 + 1, server=1, version="1"))
        assert "cannot be told to restart" in failure(runner).message

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from antiphon import __version__
from antiphon.cli.main import app

DEADLINE = 60.0
SLOW = ("aiohttp", "sqlalchemy", "alembic", "uvicorn", "numpy", "huggingface_hub", "antiphon.app")


def antiphon(*arguments: str, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "antiphon", *arguments],
        env={"PATH": os.environ["PATH"], "ANTIPHON_HOME": str(home), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )


def test_help_lists_every_command_and_the_exit_codes(runner: CliRunner) -> None:
    shown = runner.invoke(app, ["--help"]).stdout
    for name in ("serve", "keys", "models", "chat", "transcribe", "doctor", "docs", "130 interrupted"):
        assert name in shown


@pytest.mark.parametrize(
    "command",
    [
        "serve",
        "keys",
        "keys create",
        "models",
        "models pull",
        "models compare",
        "chat",
        "transcribe",
        "doctor",
        "docs",
    ],
)
def test_every_command_has_help(runner: CliRunner, command: str) -> None:
    result = runner.invoke(app, [*command.split(), "--help"])
    assert result.exit_code == 0 and f"Usage: root {command}" in result.stdout


def test_version(runner: CliRunner) -> None:
    result = runner.invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"antiphon {__version__}\n")


def test_help_loads_nothing_that_is_slow() -> None:
    code = "import sys, antiphon.cli.main; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=DEADLINE)
    assert not set(SLOW) & set(loaded.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "environment", "code", "said"),
    [
        (["--version"], {}, 0, ""),
        (["frobnicate"], {}, 2, "No such command"),
        (["serve"], {"ANTIPHON_PORT": "x"}, 3, "antiphon: ANTIPHON_PORT: "),
        (["chat", "Hi"], {}, 3, "antiphon: no API key is given. Fix: make one with `antiphon keys create`"),
        (["chat", "Hi", "--key", "k"], {"ANTIPHON_PORT": "9"}, 4, "antiphon: no server answers at http://"),
    ],
)
def test_exit_codes(
    tmp_path: Path, arguments: list[str], environment: dict[str, str], code: int, said: str
) -> None:
    done = antiphon(*arguments, home=tmp_path, **environment)
    assert done.returncode == code and said in done.stderr
    assert "Traceback" not in done.stderr
    if code > 2:
        assert done.stderr.count("\n") == 1 and done.stdout == ""


def test_an_unexpected_exception_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "antiphon.toml").mkdir()
    code = "import antiphon.cli.main as m, antiphon.settings as s; s.load = lambda *a: 1 // 0; m.main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "serve"], capture_output=True, text=True, timeout=DEADLINE
    )
    assert done.returncode == 1
    assert done.stderr.startswith("antiphon: unexpected ZeroDivisionError.") and done.stderr.count("\n") == 1

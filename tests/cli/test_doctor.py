from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from antiphon.cli import doctor
from antiphon.cli.checks import Finding
from antiphon.cli.main import app
from antiphon.errors import ConfigurationError, Unavailable
from antiphon.settings import Settings

NAMES = [
    "settings",
    "python",
    "processor",
    "memory",
    "disk",
    "data folder",
    "temporary folder",
    "open files",
    "isolation",
    "address",
    "server",
    "libraries",
    "sqlite",
    "database",
    "content keys",
    "content storage",
    "models",
    "engines",
    "upstreams",
]


@pytest.fixture
def free_port(runner: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTIPHON_PORT", "0")
    monkeypatch.delenv("ANTIPHON_PROBE_SECONDS")  # which all tests have


@pytest.mark.usefixtures("free_port")
def test_a_machine_that_can_serve_has_no_problem(runner: CliRunner, tmp_path: Path) -> None:
    result = runner.invoke(app, ["doctor", "--json", "--home", str(tmp_path / "home")])
    findings = json.loads(result.stdout)
    assert [finding["name"] for finding in findings] == NAMES
    assert [finding for finding in findings if finding["state"] == "problem"] == []
    assert result.exit_code == 0 and result.stderr == ""
    assert findings[0]["detail"] == "home from --home, port from ANTIPHON_PORT"
    assert not (tmp_path / "home").exists(), "looking changes nothing"


def test_wrong_settings_are_a_problem_and_the_rest_is_still_looked_at(
    runner: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTIPHON_PORT", "http")
    monkeypatch.setattr(doctor, "_checks", lambda: {"last": lambda settings: Finding("ok", settings.home)})
    result = runner.invoke(app, ["doctor", "--json"])
    problem, last = json.loads(result.stdout)
    assert result.exit_code == 1
    assert problem["state"] == "problem" and problem["detail"].startswith("ANTIPHON_PORT: ")
    assert "default 8000" in problem["fix"]
    assert last["detail"].endswith("/home")


def test_the_table_shows_state_detail_and_fix(runner: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    checks = {
        "disk": lambda settings: Finding("problem", "[red]full[/red]\x1b[2J", "free some space"),
        "cpu": lambda settings: Finding("warning", "slow"),
    }
    monkeypatch.setattr(doctor, "_checks", lambda: checks)
    result = runner.invoke(app, ["doctor"])
    lines = [line.rstrip() for line in result.stdout.splitlines()]
    assert result.exit_code == 1
    assert "disk      problem  [red]full[/red][2J" in lines
    assert "                   Fix: free some space" in lines
    assert "cpu       warning  slow" in lines


def test_warnings_alone_are_no_failure(runner: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_checks", lambda: {"cpu": lambda settings: Finding("warning", "slow")})
    assert runner.invoke(app, ["doctor"]).exit_code == 0


@pytest.mark.parametrize(
    ("problem", "detail", "fix"),
    [
        (ConfigurationError("No.", fix="do"), "No.", "do"),
        (Unavailable("Busy."), "Busy.", "look at the logs in the data folder"),
        (PermissionError(13, "Permission denied", "/x"), "/x: Permission denied", ""),
        (KeyError("MemAvailable"), "the check failed with KeyError: 'MemAvailable'", ""),
    ],
)
def test_a_check_that_fails_is_a_problem_with_a_text(problem: Exception, detail: str, fix: str) -> None:
    def check(settings: Settings) -> Finding:
        raise problem

    assert doctor.examine(check, Settings()) == Finding("problem", detail, fix)

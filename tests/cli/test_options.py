from __future__ import annotations

import fcntl
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from antiphon import settings
from antiphon.cli import standing
from antiphon.cli.main import app
from antiphon.cli.options import required_key, server_address, with_settings
from antiphon.cli.output import CommandFailed
from antiphon.errors import ConfigurationError
from antiphon.home import FILE_NAME
from antiphon.settings import Settings


@pytest.fixture
def given(runner: CliRunner) -> list[Settings]:
    return []


@pytest.fixture
def command(given: list[Settings]) -> typer.Typer:
    made = typer.Typer()

    def serve(settings: Settings) -> None:
        """Start."""
        given.append(settings)

    made.command()(with_settings(serve))
    return made


def test_serve_help_shows_every_setting(runner: CliRunner) -> None:
    shown = runner.invoke(app, ["serve", "--help"], terminal_width=200, env={"COLUMNS": "200"}).stdout
    for row in settings.rows():
        assert row.flag in shown and row.environment in shown, row.name
    assert "default 26214400" in shown and "debug, info, warning, error" in shown


@pytest.mark.parametrize("columns", ["80", "200"])
def test_no_environment_variable_is_cut_off(runner: CliRunner, columns: str) -> None:
    shown = runner.invoke(app, ["serve", "--help"], env={"COLUMNS": columns}).stdout
    assert "…" not in shown


def test_flags_win_over_the_environment_and_that_over_the_file(
    runner: CliRunner, command: typer.Typer, given: list[Settings], tmp_path: Path
) -> None:
    (tmp_path / FILE_NAME).write_text("port = 1\nthreads = 1\nqueue_total = 5\n")
    flags = ["--home", str(tmp_path), "--port", "3", "--public-metrics", "false"]
    environment = {"ANTIPHON_PORT": "2", "ANTIPHON_THREADS": "2"}
    assert runner.invoke(command, flags, env=environment).exit_code == 0
    [found] = given
    assert (found.port, found.threads, found.queue_total, found.public_metrics) == (3, 2, 5, False)
    assert found.home == str(tmp_path)


def test_without_flags_the_defaults_hold(
    runner: CliRunner,
    command: typer.Typer,
    given: list[Settings],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("ANTIPHON_PROBE_SECONDS")  # which all tests have
    assert runner.invoke(command, []).exit_code == 0
    assert given == [Settings(home=str(tmp_path / "home"))]


@pytest.mark.parametrize(
    ("flags", "environment", "source"),
    [
        (["--port", "70000"], {}, "--port"),
        (["--log-level", "loud"], {}, "--log-level"),
        ([], {"ANTIPHON_PUBLIC_METRICS": "perhaps"}, "ANTIPHON_PUBLIC_METRICS"),
    ],
)
def test_a_wrong_value_names_its_source(
    runner: CliRunner, command: typer.Typer, flags: list[str], environment: dict[str, str], source: str
) -> None:
    result = runner.invoke(command, flags, env=environment)
    assert isinstance(result.exception, ConfigurationError)
    assert result.exception.message.startswith(f"{source}: ")


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000/v1"),
        ("0.0.0.0", "http://127.0.0.1:8000/v1"),
        ("::", "http://[::1]:8000/v1"),
        ("gpu.example", "http://gpu.example:8000/v1"),
    ],
)
def test_the_address_is_that_of_the_settings(
    runner: CliRunner, monkeypatch: pytest.MonkeyPatch, host: str, address: str
) -> None:
    monkeypatch.setenv("ANTIPHON_HOST", host)
    assert server_address(None) == address


def test_a_server_that_runs_says_where(
    tmp_path: Path, runner: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTIPHON_HOME", str(tmp_path))
    with (tmp_path / standing.LOCK_NAME).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        standing.write(tmp_path, standing.Standing(pid=1, server=1, version="1", port=8123))
        assert server_address(None) == "http://127.0.0.1:8123/v1"
    assert server_address(None) == "http://127.0.0.1:8000/v1", "and is not believed once it has ended"


def test_an_address_given_is_taken(runner: CliRunner) -> None:
    assert server_address("https://ai.example/v1/") == "https://ai.example/v1"


def test_a_free_port_cannot_be_guessed(runner: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTIPHON_PORT", "0")
    with pytest.raises(ConfigurationError) as caught:
        server_address(None)
    assert caught.value.fix == "give --base-url"


@pytest.mark.parametrize("key", [None, ""])
def test_no_key_says_how_to_make_one(key: str | None) -> None:
    with pytest.raises(ConfigurationError) as caught:
        required_key(key)
    assert "antiphon keys create" in caught.value.fix


def test_sources_tell_where_the_value_in_force_was_set(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("port = 1\nthreads = 1\n")
    flags = {"home": str(tmp_path), "queue_total": None}
    assert settings.sources(flags, {"ANTIPHON_PORT": "2"}) == {
        "home": "--home",
        "port": "ANTIPHON_PORT",
        "threads": str(tmp_path / FILE_NAME),
    }


READING = [
    ["keys", "list"],
    ["keys", "revoke", "key_1"],
    ["orgs", "list"],
    ["projects", "list"],
    ["people", "list"],
    ["usage"],
    ["costs"],
    ["credits", "list"],
    ["ledger", "verify"],
    ["audit", "list"],
    ["audit", "verify"],
    ["audit", "head"],
    ["flags", "list"],
    ["moderation", "thresholds"],
    ["models", "verify"],
    ["models", "changes"],
    ["models", "users", "gpt-3.5-turbo"],
    ["dedicated", "list"],
    ["dedicated", "calendar", "m"],
    ["data", "policy", "show"],
    ["data", "consent"],
    ["data", "receipts"],
    ["data", "public-key"],
    ["data", "purge"],
    ["status", "show"],
    ["status", "incidents", "list"],
    ["db", "status"],
    ["backup", "make", "backup"],
]


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_where_there_is_no_antiphon_nothing_is_made_by_reading(
    runner: CliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    done = runner.invoke(app, command)
    assert isinstance(done.exception, CommandFailed), done.output
    assert done.exception.message == f"there is no Antiphon in {tmp_path / 'home'}"
    assert "--home or ANTIPHON_HOME" in done.exception.fix and done.exception.exit_code == 1
    assert list(tmp_path.iterdir()) == [], "nothing is made"


def test_what_begins_an_antiphon_may_be_read_from_then_on(runner: CliRunner, tmp_path: Path) -> None:
    made = runner.invoke(app, ["keys", "create"])
    assert made.exit_code == 0 and f"for the Antiphon in {tmp_path / 'home'}" in made.stderr
    assert runner.invoke(app, ["keys", "list"]).exit_code == 0

"""`antiphon backup` and `restore` on the command line; `operations/test_backup.py` has what they do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from antiphon.cli.main import app
from antiphon.errors import ConfigurationError
from antiphon.home import home_folder


def events(runner: CliRunner, type: str, *options: str) -> list[dict[str, Any]]:
    found = json.loads(runner.invoke(app, ["audit", "list", "--json", *options]).stdout)
    return [one for one in found if one["type"] == type]


def test_a_folder_is_backed_up_checked_and_restored(runner: CliRunner, tmp_path: Path) -> None:
    assert runner.invoke(app, ["keys", "create"]).exit_code == 0  # which makes the database
    made = runner.invoke(app, ["backup", str(tmp_path / "copies"), "--json"])
    assert made.exit_code == 0, made.output
    done = json.loads(made.stdout)
    data = done["data"]
    assert Path(data).parent == tmp_path / "copies" and Path(done["keys"]).name == "antiphon-keys.tar"

    checked = runner.invoke(app, ["backup", "verify", data])
    assert checked.exit_code == 0 and "data: whole" in checked.stdout and "keys: whole" in checked.stdout
    assert (
        "antiphon.db" in json.loads(runner.invoke(app, ["backup", "verify", data, "--json"]).stdout)["files"]
    )

    fresh = tmp_path / "fresh"
    restored = runner.invoke(app, ["restore", data, "--home", str(fresh)])
    assert restored.exit_code == 0 and "antiphon ledger verify" in restored.stdout
    [kept] = events(runner, "backup.created")
    assert kept["payload"]["id"] == Path(data).name
    assert kept["payload"]["data"] == {"folder": str(tmp_path / "copies"), "models": False}
    # The row of a backup is younger than what was copied.
    assert events(runner, "backup.created", "--home", str(fresh)) == []
    [back] = events(runner, "backup.restored", "--home", str(fresh))
    assert back["payload"]["id"] == Path(data).name and back["payload"]["data"]["made_at"] > 1_700_000_000
    for options in ((), ("--home", str(fresh))):
        proven = runner.invoke(app, ["audit", "verify", *options])
        assert proven.exit_code == 0 and "is whole" in proven.stdout
    assert (fresh / "antiphon.db").exists() and (fresh / "pepper").exists()
    proven = runner.invoke(app, ["ledger", "verify", "--home", str(fresh)])
    assert proven.stdout == "The books are right.\n"

    again = runner.invoke(app, ["restore", data, "--home", str(fresh), "--json"])
    assert isinstance(again.exception, ConfigurationError) and "not empty" in again.exception.message


def test_a_named_file_and_the_help(runner: CliRunner, tmp_path: Path) -> None:
    assert runner.invoke(app, ["keys", "create"]).exit_code == 0
    (home_folder() / "notes.txt").write_text("mine")
    made = runner.invoke(app, ["backup", "make", str(tmp_path / "state.tar"), "--models"])
    assert "Not copied, for Antiphon did not make them: notes.txt." in made.stderr.replace("\n", " ")
    assert made.exit_code == 0 and f"antiphon restore {tmp_path}/state.tar" in made.stdout.replace("\n", "")
    assert "verify" in runner.invoke(app, ["backup", "--help"]).stdout


def test_keys_of_content_that_lie_elsewhere(
    runner: CliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTIPHON_CONTENT_KEYS", f"sqlite+aiosqlite:///{tmp_path / 'keys.db'}")
    assert runner.invoke(app, ["keys", "create"]).exit_code == 0
    early = runner.invoke(app, ["backup", str(tmp_path / "state.tar")])
    assert isinstance(early.exception, ConfigurationError) and "no such file" in early.exception.message
    assert not (tmp_path / "state.tar").exists() and events(runner, "backup.created") == []

    assert runner.invoke(app, ["data", "purge"]).exit_code == 0  # which makes them
    assert runner.invoke(app, ["backup", str(tmp_path / "state.tar")]).exit_code == 0
    words = ["restore", str(tmp_path / "state.tar"), "--home", str(tmp_path / "fresh")]
    refused = runner.invoke(app, words)
    assert isinstance(refused.exception, ConfigurationError) and "--content-keys" in refused.exception.fix
    restored = runner.invoke(app, [*words, "--content-keys", f"sqlite+aiosqlite:///{tmp_path / 'other.db'}"])
    assert restored.exit_code == 0 and "ANTIPHON_CONTENT_KEYS" in restored.stdout
    assert (tmp_path / "other.db").exists() and not (tmp_path / "fresh" / "content-keys.db").exists()

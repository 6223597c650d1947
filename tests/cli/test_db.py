from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from antiphon.cli.db import db
from antiphon.cli.output import CommandFailed
from operator_shell import begun
from servers import PostgresDatabase, PostgresServer, fresh_database


def test_a_new_database_is_upgraded_and_shown(runner: CliRunner, tmp_path: Path) -> None:
    begun(tmp_path / "home")
    before = runner.invoke(db, ["status", "--json"])
    shown = json.loads(before.stdout)
    assert isinstance(before.exception, CommandFailed) and "antiphon db upgrade" in before.exception.fix
    assert (shown["revision"], shown["missing"]) == (None, [])
    assert str(tmp_path / "home" / "antiphon.db") in shown["database"]

    upgraded = runner.invoke(db, ["upgrade", "--json"])
    assert upgraded.exit_code == 0
    assert json.loads(upgraded.stdout) == shown | {"revision": shown["head"]}

    after = runner.invoke(db, ["status"])
    assert after.exit_code == 0
    assert f"revision {shown['head']}, this version's is {shown['head']}" in after.stdout


def test_the_password_of_the_address_is_not_shown(
    runner: CliRunner, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fresh_database(postgres_server) as fresh:
        monkeypatch.setenv("ANTIPHON_DATABASE", fresh.url.replace("postgres@", "postgres:hunter2@"))
        shown = runner.invoke(db, ["upgrade"])
        assert shown.exit_code == 0
        assert "postgresql+asyncpg://postgres:***@" in shown.output and "hunter2" not in shown.output
        assert fresh.execute("select count(*) from installation") == "0"


def test_what_is_missing_is_named(
    runner: CliRunner, postgresql: PostgresDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(tmp_path / "home")
    monkeypatch.setenv("ANTIPHON_DATABASE", postgresql.url)
    postgresql.execute("drop table idempotency")
    shown = runner.invoke(db, ["status"])
    assert isinstance(shown.exception, CommandFailed)
    assert "missing: idempotency" in shown.stdout

"""`antiphon audit`, and that every command which changes something is in the log."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from sqlalchemy import delete, update
from typer.testing import CliRunner, Result

from antiphon.cli.administration import opened_database
from antiphon.cli.main import app
from antiphon.cli.output import CommandFailed
from antiphon.storage.tables import audit_head, audit_log
from audit_rows import without_triggers
from operator_shell import begun
from pretended import BASE, SMOLLM2, TINY, pretend_installed
from tiny_models import write_whisper

ACTS: list[tuple[tuple[str, ...], str]] = [
    (("orgs", "create", "acme"), "organization.created"),
    (("orgs", "prepaid", "acme", "--on"), "organization.updated"),
    (("orgs", "add-member", "ada@example.com", "--role", "owner"), "user.added"),
    (("people", "link", "ada@example.com"), "user.updated"),
    (("people", "operator", "ada@example.com"), "user.updated"),
    (("projects", "create", "shop", "--org", "acme"), "project.created"),
    (("keys", "create", "--name", "robot", "--org", "acme", "--project", "shop"), "api_key.created"),
    (("keys", "create", "--operator"), "api_key.created"),
    (("credits", "add", "5", "--org", "acme"), "credit.created"),
    (("models", "switch", "whisper-1", TINY), "model.switch.created"),
    (("models", "rollback", "whisper-1"), "model.switch.created"),
    (("models", "retire", TINY, "--on", "2999-01-01"), "model.end.created"),
    (("models", "keep", TINY), "model.end.deleted"),
    (("prices", "set", SMOLLM2, "--input", "0.01"), "price.created"),
    (("models", "remove", TINY), "model.deleted"),
]

CALLED_OFF = {"models cancel"}
"""Needs the id of what the act before made."""
AS_ROUTES_DO = {
    *(f"dedicated {verb}" for verb in ("create", "delete", "tune", "update")),
    *(f"data {verb}" for verb in ("opt-in", "opt-out", "policy set")),
    *(f"flags {verb}" for verb in ("appeal", "resolve")),
    *(f"keys {verb}" for verb in ("revoke", "rotate")),
    *(f"orgs {verb}" for verb in ("remove-member", "resume", "suspend")),
    *(f"status incidents {verb}" for verb in ("note", "open", "resolve")),
    *("data erase", "data export", "moderation thresholds"),
    "models pull",
    "projects archive",
}
"""They change something through services whose operations `tests/test_authorization.py` finds in the log; a
pull is looked for below."""
READING = {
    *("chat", "costs", "docs", "doctor", "transcribe", "usage"),
    *(f"audit {verb}" for verb in ("head", "list", "verify")),
    *(f"dedicated {verb}" for verb in ("advise", "calendar", "list")),
    *(f"models {verb}" for verb in ("changes", "compare", "list", "users", "verify")),
    *(f"{group} list" for group in ("credits", "keys", "orgs", "people", "prices", "projects")),
    *("db status", "ledger verify", "orgs members", "status incidents list", "status show"),
    *(f"data {verb}" for verb in ("consent", "policy show", "public-key", "receipts")),
    *("backup verify", "flags list", "flags show", "moderation score"),
}
COPYING = {"backup make", "restore", "import litellm"}
"""Looked for in `test_cli_backup.py` and `test_cli_import_.py`."""
STARTING = {"db upgrade", "restart", "serve"}
"""What a server was started with is in the log (`operations.used_settings`)."""
SIGNED = {"data purge"}
"""Does what a server does every minute, and leaves a receipt."""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("ANTIPHON_DATABASE", raising=False)
    pretend_installed(tmp_path, SMOLLM2, BASE, TINY)
    return begun(tmp_path)


def run(home: Path, *words: str, input: str | None = None) -> Result:
    return CliRunner().invoke(app, [*words, "--home", str(home)], input=input)


def said(home: Path, *words: str) -> str:
    done = run(home, *words)
    assert done.exit_code == 0, (words, done.output, done.exception)
    return done.stdout


def events(home: Path, *options: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(said(home, "audit", "list", "--json", *options))
    return found


def tamper(home: Path, *statements: Any) -> None:
    async def change() -> None:
        async with opened_database(str(home)) as (_, database), database.begin() as connection:
            await connection.run_sync(without_triggers)
            for statement in statements:
                await connection.execute(statement)

    asyncio.run(change())


def test_every_act_is_in_the_log_and_the_log_is_whole(home: Path) -> None:
    before = 0
    for words, type in ACTS:
        said(home, *words)
        found = events(home, "--last", "1000")
        assert len(found) > before and type in {one["type"] for one in found[: len(found) - before]}, words
        before = len(found)
    switch = said(home, "models", "switch", "gpt-3.5-turbo", SMOLLM2, "--at", "2999-01-01")
    said(home, "models", "cancel", switch.split("`antiphon models cancel ")[1].split("`")[0])
    assert events(home, "--last", "1")[0]["type"] == "model.switch.deleted"
    assert said(home, "audit", "verify").startswith("The audit log is whole: ")
    assert json.loads(said(home, "audit", "verify", "--json")) == []
    of_acme = {one["type"] for one in events(home, "--org", "acme")}
    assert "credit.created" in of_acme and "price.created" not in of_acme
    assert {"price.created", "model.end.created"} <= {one["type"] for one in events(home, "--org", "default")}
    table = said(home, "audit", "list")
    assert "operator" in table and "price.created" in table and SMOLLM2 in table


def test_every_command_is_known_to_change_something_or_not() -> None:
    """A new one must be in one of the lists: what changes something is looked for in the log."""
    acting = {" ".join(words[:2]) for words, _ in ACTS}
    known = [acting, CALLED_OFF, AS_ROUTES_DO, READING, COPYING, STARTING, SIGNED]
    assert set(leaves(typer.main.get_command(app))) == set().union(*known)
    assert sum(map(len, known)) == len(set().union(*known)) + len(acting & AS_ROUTES_DO)


def leaves(command: Any, name: str = "") -> Iterator[str]:
    below = getattr(command, "commands", None)
    if below is None:
        yield name.strip()
    for child, one in (below or {}).items():
        yield from leaves(one, f"{name} {child}")


def test_a_model_that_was_pulled_is_in_the_log(home: Path) -> None:
    folder = write_whisper(home / "origin")
    said(home, "models", "pull", str(folder), "--name", "tiny-2024-01-01")
    [newest] = events(home, "--last", "1")
    assert newest["type"] == "model.installed"
    assert newest["payload"] == {
        "id": "tiny-2024-01-01",
        "data": {"source": str(folder), "alias": None},
    }


def test_what_fails_is_not_in_the_log(home: Path) -> None:
    for words in (("prices", "set", "none"), ("models", "remove", BASE), ("models", "keep", TINY)):
        assert run(home, *words).exit_code != 0
    (home / "models.toml").mkdir()
    assert run(home, "prices", "set", SMOLLM2).exit_code != 0
    (home / "models.toml").rmdir()
    assert {one["type"] for one in events(home)} == {"audit_log.started", "organization.created"}


def test_a_change_is_found_and_named(home: Path) -> None:
    said(home, "orgs", "create", "acme")
    tamper(home, update(audit_log).where(audit_log.c.sequence == 2).values(payload="{}"))
    failed = run(home, "audit", "verify")
    assert isinstance(failed.exception, CommandFailed) and failed.exception.exit_code == 1
    assert failed.stdout.startswith("installation: row 2 (audit_log-")
    [finding] = json.loads(run(home, "audit", "verify", "--json").stdout)
    assert (finding["chain"], finding["sequence"]) == ("installation", 2)


def test_a_log_that_was_emptied_is_not_whole(home: Path) -> None:
    said(home, "orgs", "create", "acme")
    tamper(home, delete(audit_log), delete(audit_head))
    failed = run(home, "audit", "verify")
    assert isinstance(failed.exception, CommandFailed)
    assert "its end is not known" in failed.stdout


def test_heads_are_kept_elsewhere(home: Path, tmp_path: Path) -> None:
    said(home, "orgs", "create", "acme")
    kept = tmp_path / "heads.txt"
    kept.write_text(said(home, "audit", "head"))
    assert json.loads(said(home, "audit", "head", "--json"))[0]["chain"] == "installation"
    said(home, "orgs", "create", "other")
    assert "whole" in said(home, "audit", "verify", "--head", str(kept))
    assert "whole" in run(home, "audit", "verify", "--head", "-", input=kept.read_text()).stdout
    kept.write_text(kept.read_text().replace("installation 2 ", "installation 99 "))
    failed = run(home, "audit", "verify", "--head", str(kept))
    assert failed.exit_code == 1 and "a head was kept of row 99" in failed.stdout


@pytest.mark.parametrize("content", [None, "", "installation"])
def test_a_file_without_heads_is_wrong_usage(home: Path, content: str | None) -> None:
    if content is not None:
        (home / "heads").write_text(content)
    failed = run(home, "audit", "verify", "--head", str(home / "heads"))
    assert isinstance(failed.exception, CommandFailed) and failed.exception.exit_code == 2

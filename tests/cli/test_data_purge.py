"""`antiphon data`: what has expired is deleted now, and receipts are shown and checked."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from typer.testing import CliRunner, Result

from antiphon.cli.administration import opened_database
from antiphon.cli.data import data
from antiphon.cli.output import CommandFailed
from antiphon.privacy.receipts import load_signer
from antiphon.storage.tables import content_receipt
from operator_shell import begun
from privacy_house import DAY, housed


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (
        "ANTIPHON_DATABASE",
        "ANTIPHON_CONTENT_KEYS",
        "ANTIPHON_CONTENT_STORAGE",
        "ANTIPHON_WEBHOOK",
    ):
        monkeypatch.delenv(name, raising=False)
    return begun(tmp_path / "home")


def run(home: Path, command: str, *arguments: str) -> Result:
    return CliRunner().invoke(data, [command, "--home", str(home), *arguments])


def keep(home: Path) -> None:
    """Something that has expired long ago, with a recording, and something that has not."""

    async def work() -> None:
        async with opened_database(str(home)) as (_, database):
            async with housed(home, database, "") as house:
                house.now = time.time() - 40 * DAY
                await house.keep(house.item(recording=b"sound"))
                await house.keep(house.item(expires_at=4_000_000_000))

    asyncio.run(work())


def test_what_cannot_be_deleted_is_said_after_all_else_was(home: Path) -> None:
    keep(home)
    day = next(path for path in (home / "content").iterdir() if any(path.iterdir()))
    [file] = day.iterdir()
    file.unlink()
    file.mkdir()  # which is no file that could be deleted
    problem = run(home, "purge").exception
    assert isinstance(problem, CommandFailed) and "not everything could be deleted" in problem.message
    assert "expired" in run(home, "receipts").stdout


def test_nothing_is_deleted_where_nothing_is_kept(home: Path) -> None:
    done = run(home, "purge")
    assert done.exit_code == 0 and done.stderr == "There was nothing to delete.\n" and done.stdout == ""
    assert json.loads(run(home, "purge", "--json").stdout) is None
    shown = run(home, "receipts", "--verify")
    assert shown.exit_code == 0
    assert "Nothing was deleted yet" in shown.stderr and "0 receipts are sound." in shown.stderr


def test_what_has_expired_is_deleted_and_there_is_a_receipt_of_it(home: Path) -> None:
    keep(home)
    done = run(home, "purge")
    assert done.exit_code == 0 and done.stdout.endswith(": 1 chat, 1 key, 1 recording\n")
    [receipt] = json.loads(run(home, "receipts", "--json").stdout)
    assert receipt["public_key"] == run(home, "public-key").stdout.strip() == load_signer(home).public_key
    found = {(one["cause"], one["policy_days"], one["kind"], one["number"]) for one in receipt["deleted"]}
    assert found == {("expired", 30, "chat", 1), ("expired", 30, "recording", 1), ("expired", -1, "key", 1)}
    shown = run(home, "receipts", "--verify")
    assert receipt["id"] in shown.stdout and "1 receipts are sound." in shown.stderr
    lines = run(home, "receipts", "--csv").stdout.splitlines()
    assert lines[0] == "id,ended_at,organization,cause,policy_days,kind,number" and len(lines) == 4


def test_a_receipt_that_was_changed_is_noticed(home: Path) -> None:
    keep(home)
    run(home, "purge")

    async def change(**values: Any) -> None:
        async with opened_database(str(home)) as (_, database), database.begin() as connection:
            await connection.execute(update(content_receipt).values(**values))

    asyncio.run(change(signature=bytes(64)))
    shown = run(home, "receipts", "--verify")
    assert isinstance(shown.exception, CommandFailed) and "is not what was signed" in shown.stderr


def test_another_machines_key_is_to_be_given(home: Path, tmp_path: Path) -> None:
    keep(home)
    run(home, "purge")
    known = run(home, "public-key").stdout.strip()
    (home / "receipts.key").unlink()
    assert run(home, "public-key").stdout.strip() != known
    assert isinstance(run(home, "receipts", "--verify").exception, CommandFailed)
    assert run(home, "receipts", "--verify", "--public-key", known).exit_code == 0

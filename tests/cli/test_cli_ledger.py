"""`antiphon ledger verify`: exit code 1 on a single nano-dollar."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from sqlalchemy import insert
from typer.testing import CliRunner, Result

from antiphon.cli.administration import opened_database
from antiphon.cli.ledger import ledger
from antiphon.cli.output import CommandFailed
from antiphon.storage import tables
from operator_shell import begun


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("ANTIPHON_DATABASE", raising=False)
    return begun(tmp_path / "home")


def verify(home: Path, *options: str) -> Result:
    return CliRunner().invoke(ledger, ["verify", *options, "--home", str(home)])


async def _add_a_nano_dollar(home: Path) -> None:
    async with opened_database(str(home)) as (_, database), database.begin() as connection:
        await connection.execute(insert(tables.account).values(name="cash", balance=1))


def test_right_books(home: Path) -> None:
    assert (verify(home).stdout, verify(home).exit_code) == ("The books are right.\n", 0)
    assert json.loads(verify(home, "--json").stdout) == []


def test_a_single_nano_dollar_is_too_much(home: Path) -> None:
    asyncio.run(_add_a_nano_dollar(home))
    failed = verify(home)
    assert failed.stdout == "cash: the balance is not the sum of its entries: 1 instead of 0\n"
    assert isinstance(failed.exception, CommandFailed) and failed.exception.exit_code == 1
    [finding] = json.loads(verify(home, "--json").stdout)
    assert (finding["of"], finding["found"], finding["expected"]) == ("cash", 1, 0)

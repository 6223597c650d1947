"""`antiphon credits`: money in dollars, exact to the nano-dollar."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from antiphon.cli.administration import opened_database
from antiphon.cli.credits import credits
from antiphon.cli.output import CommandFailed
from antiphon.errors import InvalidRequest
from antiphon.ledger import credits as ledger
from operator_shell import begun


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("ANTIPHON_DATABASE", raising=False)
    return begun(tmp_path / "home")


def run(home: Path, *arguments: str) -> Result:
    # Options first: what follows -- is never one.
    command, *rest = arguments
    return CliRunner().invoke(credits, [command, "--home", str(home), *rest])


def listed(home: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run(home, "list", "--json").stdout)
    return found


def test_credits_add_up(home: Path) -> None:
    made = run(home, "add", "--note", "invoice 7", "25.000000001")
    assert made.exit_code == 0 and made.stdout.startswith("credit_")
    taken = json.loads(run(home, "add", "--json", "--", "-5").stdout)
    assert taken["amount"] == "-5.000000000"
    assert {(row["id"], row["amount"], row["note"]) for row in listed(home)} == {
        (made.stdout.strip(), "25.000000001", "invoice 7"),
        (taken["id"], "-5.000000000", ""),
    }
    shown = run(home, "list")
    assert "US dollars" in shown.stdout and shown.stderr == "$20.00 are left.\n"


def test_one_that_has_an_id_is_given_once(home: Path) -> None:
    first, again = (run(home, "add", "--id", "invoice-7", "25").stdout for _ in range(2))
    assert first == again and first.startswith("credit_")
    assert isinstance(run(home, "add", "--id", "invoice-7", "26").exception, InvalidRequest)
    assert isinstance(run(home, "add", "--id", "", "25").exception, CommandFailed)
    assert len(listed(home)) == 1


def test_no_credits_are_an_empty_list(home: Path) -> None:
    assert listed(home) == []
    assert run(home, "list").stderr == "$0.00 are left.\n"


def test_a_long_list_is_whole(home: Path) -> None:
    async def give() -> None:
        async with opened_database(str(home)) as (access, database):
            organization = await access.organizations.find("default")
            async with database.begin() as connection:
                for number in range(ledger.LARGEST_PAGE + 1):
                    await connection.run_sync(ledger.add, organization.id, 1, "", number)

    asyncio.run(give())
    assert len(listed(home)) == ledger.LARGEST_PAGE + 1


def test_it_is_in_the_audit_log(home: Path) -> None:
    run(home, "add", "1.5")

    async def events() -> list[str]:
        async with opened_database(str(home)) as (access, _):
            organization = await access.organizations.find("default")
            return [event.type for event in (await access.audit.list(organization.id)).data]

    assert "credit.created" in asyncio.run(events())


@pytest.mark.parametrize("amount", ["ten", "0.0000000001", "NaN", "Infinity", "1e999999999", ""])
def test_an_amount_that_is_none_is_wrong_usage(home: Path, amount: str) -> None:
    failed = run(home, "add", amount)
    assert isinstance(failed.exception, CommandFailed) and failed.exception.exit_code == 2
    assert [file.name for file in home.iterdir()] == ["pepper"], "nothing is made"


def test_nothing_and_far_too_much_are_refused(home: Path) -> None:
    for amount in ("0", "100000001"):
        assert isinstance(run(home, "add", amount).exception, InvalidRequest)
    assert listed(home) == []

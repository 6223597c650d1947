"""`antiphon usage` and `antiphon costs`: what finance departments read."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from antiphon.cli.administration import opened_database
from antiphon.cli.costs import costs
from antiphon.cli.output import CommandFailed
from antiphon.cli.usage import usage
from antiphon.ledger import epochs, leases
from antiphon.ledger.posting import post
from antiphon.ledger.store import DatabaseStore
from ledger_rows import NOVEMBER, reserve, settle
from operator_shell import begun

RANGE = ("--from", "2026-11-01", "--to", "2026-11-30")
ITEMS = {"model-1": (100, 50, 0), "speech-1": (0, 0, 9)}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("ANTIPHON_DATABASE", raising=False)
    return begun(tmp_path / "home")


@pytest.fixture
def used(home: Path) -> Path:
    """A home whose default organization used two models in the project `=shop`, an hour apart."""
    asyncio.run(_use(home, NOVEMBER))
    return home


async def _use(home: Path, at: int) -> None:
    async with opened_database(str(home)) as (access, database):
        organization = await access.organizations.find("default")
        project = await access.projects.ensure(organization.id, "=shop", by=None)
        store = DatabaseStore(database)
        await store.run(epochs.open_epoch, "epoch_1", "here", at)
        period = f"{datetime.fromtimestamp(at, UTC):%Y-%m}"
        for scope in (organization.id, project.id):
            await store.run(leases.lease, "epoch_1", scope, period, 10_000, 10_000, at)
        for number, (snapshot, amounts) in enumerate(ITEMS.items()):
            about = {"organization_id": organization.id, "project_id": project.id, "period": period}
            begun = reserve(
                2 * number + 1, f"req_{number}", snapshot=snapshot, created_at=at + 3600 * number, **about
            )
            await store.run(post, "epoch_1", [begun, settle(2 * number + 2, f"req_{number}", *amounts)], at)


def run(command: Callable[..., None], home: Path, *arguments: str) -> Result:
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, [*arguments, "--home", str(home)])


def printed(command: Callable[..., None], home: Path, *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run(command, home, *arguments, "--json").stdout)
    return found


def test_usage_by_day_is_one_row_a_day(used: Path) -> None:
    assert printed(usage, used, *RANGE) == [
        {
            "start": "2026-11-01",
            "requests": 2,
            "input_tokens": 100,
            "cached_tokens": 0,
            "output_tokens": 50,
            "seconds": 9,
        }
    ]


def test_usage_by_hour_and_group(used: Path) -> None:
    rows = printed(usage, used, *RANGE, "--by", "hour", "--group-by", "project", "--group-by", "model")
    assert [(row["start"], row["project"], row["model"], row["seconds"]) for row in rows] == [
        ("2026-11-01 12:00", "=shop", "model-1", 0),
        ("2026-11-01 13:00", "=shop", "speech-1", 9),
    ]


@pytest.mark.parametrize(
    ("options", "requests"),
    [
        (("--project", "=shop"), 2),
        (("--project", "default"), 0),
        (("--model", "speech-1"), 1),
        (("--to", "2026-10-31", "--from", "2026-10-01"), 0),
        (("--to", "2026-11-01", "--from", "2026-11-01"), 2),
    ],
    ids=str,
)
def test_filters(used: Path, options: tuple[str, ...], requests: int) -> None:
    asyncio.run(_project(used, "default"))
    assert sum(row["requests"] for row in printed(usage, used, *RANGE, *options)) == requests


async def _project(home: Path, name: str) -> None:
    async with opened_database(str(home)) as (access, _):
        organization = await access.organizations.find("default")
        await access.projects.ensure(organization.id, name, by=None)


def test_a_table_has_headings(used: Path) -> None:
    shown = run(usage, used, *RANGE, "--group-by", "key", "--group-by", "user")
    heading, row = shown.stdout.splitlines()
    assert heading.split()[:4] == ["Day", "Key", "User", "Requests"]
    assert row.split() == ["2026-11-01", "key_1", "user-1", "2", "100", "0", "50", "9"]
    assert shown.stderr == ""


def test_costs_are_exact_and_fit_a_spreadsheet(used: Path) -> None:
    shown = run(costs, used, *RANGE, "--items", "--group-by", "project", "--csv")
    rows = list(csv.reader(io.StringIO(shown.stdout)))
    assert rows == [
        ["start", "project", "line_item", "quantity", "unit", "amount"],
        ["2026-11-01", "'=shop", "model-1, input", "100", "tokens", "0.000000100"],
        ["2026-11-01", "'=shop", "model-1, output", "50", "tokens", "0.000000100"],
        ["2026-11-01", "'=shop", "speech-1, audio", "9", "duration_seconds", "0.000000063"],
    ]
    assert printed(costs, used, *RANGE) == [{"start": "2026-11-01", "amount": "0.000000263"}]


def test_many_days_are_read_page_by_page(used: Path) -> None:
    rows = printed(usage, used, "--from", "2025-01-01", "--to", "2026-12-31")
    assert [row["start"] for row in rows] == ["2026-11-01"]


def test_nothing_used_says_what_to_do(home: Path) -> None:
    shown = run(costs, home)
    assert shown.exit_code == 0 and shown.stdout == ""
    assert "Nothing was used by 'default'" in shown.stderr and "--from" in shown.stderr
    assert run(costs, home, "--csv").stdout == "start,amount\n"
    assert printed(usage, home) == []


def test_without_a_range_it_is_this_month_until_today(home: Path) -> None:
    today = datetime.now(UTC)
    asyncio.run(_use(home, int((today - timedelta(hours=1)).timestamp()) // 3600 * 3600))
    first = today.date().replace(day=1).isoformat()
    expected = printed(usage, home, "--from", first, "--to", today.date().isoformat())
    assert printed(usage, home) == expected
    tomorrow = (today + timedelta(days=1)).date().isoformat()
    assert printed(usage, home, "--from", tomorrow) == []


@pytest.mark.parametrize(
    "options",
    [("--from", "yesterday"), ("--to", "2026-13-01"), ("--from", "2026-11-02", "--to", "2026-11-01")],
)
def test_days_that_are_none_are_wrong_usage(home: Path, options: tuple[str, ...]) -> None:
    failed = run(usage, home, *options)
    assert isinstance(failed.exception, CommandFailed) and failed.exception.exit_code == 2
    assert [file.name for file in home.iterdir()] == ["pepper"], "nothing is made"

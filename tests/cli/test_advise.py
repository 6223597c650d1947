"""`antiphon dedicated advise`: the advice in words and as JSON."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from antiphon.cli.administration import opened_house
from antiphon.cli.main import app
from antiphon.cli.output import CommandFailed
from antiphon.ledger import epochs, leases
from antiphon.ledger.posting import post
from antiphon.ledger.store import DatabaseStore
from antiphon.storage.tables import organization
from ledger_rows import reserve, settle
from operator_shell import begun

CHAT = "smollm2-135m-instruct-2024-11-01"
DAY = 86_400
PRICES = ("--price-per-1k-tokens", "0.002", "--price-per-hour", "37.50")


@pytest.fixture
def home(tmp_path: Path, runner: CliRunner, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("ANTIPHON_DATABASE", raising=False)
    return begun(tmp_path / "home")


def advise(runner: CliRunner, *words: str) -> Result:
    return runner.invoke(app, ["dedicated", "advise", *words])


@pytest.fixture
def used(home: Path) -> int:
    """Yesterday's noon, when the default organization, which is a week old, used 150 tokens."""
    yesterday = datetime.now(UTC).date() - timedelta(1)
    noon = int(datetime(yesterday.year, yesterday.month, yesterday.day, 12, tzinfo=UTC).timestamp())

    async def use() -> None:
        async with opened_house(str(home), "default") as house:
            project = await house.access.projects.ensure(house.organization_id, "p", by=None)
            store = DatabaseStore(house.database)
            about = {
                "organization_id": house.organization_id,
                "project_id": project.id,
                "snapshot": CHAT,
                "created_at": noon,
                "period": f"{yesterday:%Y-%m}",
            }
            await store.run(epochs.open_epoch, "epoch_1", "here", noon)
            for scope in (house.organization_id, project.id):
                await store.run(leases.lease, "epoch_1", scope, f"{yesterday:%Y-%m}", 10_000, 10_000, noon)
            await store.run(post, "epoch_1", [reserve(1, **about), settle(2)], noon)
            async with house.database.begin() as connection:
                await connection.execute(organization.update().values(created_at=int(time.time()) - 8 * DAY))

    asyncio.run(use())
    return noon


def test_the_example_of_the_announcement(home: Path, runner: CliRunner) -> None:
    result = advise(runner, *PRICES)
    assert result.exit_code == 0
    lines = [line.strip() for line in result.stdout.splitlines()]
    assert lines[0] == "No model was used on a whole day: shared."
    assert "Dedicated: 1 replica, $37.50 an hour each: $900.00 a day." in lines
    assert "Both cost the same at 450,000,000 tokens a day." in lines
    [row] = json.loads(advise(runner, *PRICES, "--json").stdout)
    assert (row["break_even_tokens_per_day"], row["plan"]["cost_per_day"]) == (450_000_000, "900.000000000")


@pytest.mark.parametrize(("tokens", "verdict"), [("449999999", "shared"), ("450000000", "dedicated")])
def test_at_the_crossing_it_turns(home: Path, runner: CliRunner, tokens: str, verdict: str) -> None:
    [row] = json.loads(advise(runner, *PRICES, "--tokens-per-day", tokens, "--json").stdout)
    assert row["verdict"] == verdict and row["model"] is None
    assert "(as expected)" in advise(runner, *PRICES, "--tokens-per-day", tokens).stdout


def test_what_was_used_is_told(home: Path, runner: CliRunner, used: int) -> None:
    text = advise(runner, "--price-per-hour", "1", "--throughput", "2").stdout
    assert text.startswith(f"{CHAT}: shared.")
    assert "Shared service: $0.00 a day" in text and "7 whole days until" in text
    assert (
        f"Peak: 3 tokens a second, in the minute of {datetime.fromtimestamp(used, UTC):%Y-%m-%d 12:00} UTC."
        in text
    )
    assert "Dedicated: 2 replicas, $1.00 an hour each: $48.00 a day." in text
    [row] = json.loads(advise(runner, "--price-per-hour", "1", "--json").stdout)
    assert (row["model"], row["peak_at"], row["tokens_per_day"]) == (CHAT, used, 150 // 7)
    assert [day["tokens"] for day in row["days"]] == [0] * 6 + [150]
    assert row["days"][-1]["cost"] == "0.000000200" and len(row["notes"]) == 1


def test_without_a_price_it_is_said_what_is_missing(home: Path, runner: CliRunner, used: int) -> None:
    text = advise(runner).stdout
    assert "Note: what an instance costs is not known" in text and "Dedicated" not in text
    [row] = json.loads(advise(runner, "--json").stdout)
    assert row["plan"] is None and row["break_even_tokens_per_day"] is None


def test_a_latency_that_nothing_keeps(home: Path, runner: CliRunner, used: int) -> None:
    words = ("--price-per-hour", "1", "--latency", "0.5", "--model", CHAT)
    assert (
        "Dedicated: 1 replica" in advise(runner, *words).stdout
    )  # of what is not measured, nothing is known


@pytest.mark.parametrize("option", ["--price-per-hour", "--price-per-1k-tokens"])
@pytest.mark.parametrize("price", ["-1", "x"])
def test_what_is_no_price(home: Path, runner: CliRunner, option: str, price: str) -> None:
    assert isinstance(advise(runner, f"{option}={price}").exception, CommandFailed)

"""`antiphon status`, by what it leaves in the database and says."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from antiphon.cli.administration import opened_database
from antiphon.cli.main import app
from antiphon.cli.output import CommandFailed
from antiphon.errors import InvalidRequest, NotFound
from operator_shell import begun
from status_house import Minutes


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("ANTIPHON_DATABASE", raising=False)
    return begun(tmp_path)


def run(home: Path, *words: str) -> str:
    done = CliRunner().invoke(app, ["status", *words, "--home", str(home)], catch_exceptions=True)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def listed(home: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run(home, "incidents", "list", "--json"))
    return found


def test_an_incident_is_opened_noted_resolved_and_listed(home: Path) -> None:
    assert listed(home) == []
    id = run(home, "incidents", "open", "Slow", "We look at it.", "--api", "chat").strip()
    assert run(home, "incidents", "note", id, "Found.").strip() == f"{id} has 2 notes."
    [row] = listed(home)
    assert (row["id"], row["state"], row["api"], row["last"]) == (id, "open", "chat", "Found.")
    assert run(home, "incidents", "resolve", id, "Repaired.").strip() == f"{id} is resolved."
    [row] = listed(home)
    assert row["state"] == "over" and row["resolved"]
    assert "Repaired." in run(home, "incidents", "list")
    with pytest.raises(InvalidRequest, match="already"):
        run(home, "incidents", "resolve", id, "Again.")
    with pytest.raises(NotFound):
        run(home, "incidents", "note", "incident_1", "x")
    with pytest.raises(InvalidRequest, match="'api'"):
        run(home, "incidents", "open", "Slow", "x", "--api", "images")


def test_maintenance_is_announced(home: Path) -> None:
    begin, end = (datetime.fromtimestamp(time.time() + n * 3600, UTC).isoformat() for n in (1, 2))
    made = json.loads(
        run(home, "incidents", "open", "Disks", "New.", "--from", begin, "--until", end, "--json")
    )
    assert (made["kind"], made["state"], made["api"]) == ("maintenance", "announced", "all")
    assert made["from"] and made["until"]
    with pytest.raises(CommandFailed, match="both"):
        run(home, "incidents", "open", "Disks", "New.", "--from", begin)
    with pytest.raises(CommandFailed, match="over"):
        run(home, "incidents", "open", "Disks", "New.", "--from", "2020-01-01", "--until", end)


def test_the_status_is_shown(home: Path) -> None:
    empty = json.loads(run(home, "show", "--json"))
    assert empty["state"] == "no_data" and "no_data" in run(home, "show")

    async def history() -> None:
        async with opened_database(str(home)) as (_, database):
            house = Minutes(database)
            now = int(time.time())
            house.now = now - now % 60 - 5 * 60
            await house.pass_by(5, chat=(3, 1))
            await house.watch()

    asyncio.run(history())
    shown = run(home, "show", "--csv").splitlines()
    assert shown[0] == "name,state,24h,7d,30d,90d,budget,alert,probe"
    name, state, day, *_ = shown[1].split(",")
    assert (name, state, day) == ("chat", "degraded", "75.0")
    assert json.loads(run(home, "show", "--json"))["incidents"][0]["title"] == "Chat: outage"

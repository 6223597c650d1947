"""`antiphon dedicated`, by what it leaves in the database and says."""

from __future__ import annotations

import asyncio
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from antiphon.cli.administration import opened_database
from antiphon.cli.main import app
from antiphon.cli.output import CommandFailed
from antiphon.errors import CapacityTaken, InvalidRequest, NotFound
from antiphon.pools import machines
from antiphon.values import Capacity
from pretended import BASE, SMOLLM2, pretend_installed, write

OFFER = (
    f'[snapshots."{BASE}".dedicated]\nprice_per_hour = "1.50"\n[snapshots."{SMOLLM2}"]\nengine = "llama"\n'
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder, and a machine with room for four replicas."""
    monkeypatch.delenv("ANTIPHON_DATABASE", raising=False)
    write(tmp_path, OFFER)
    pretend_installed(tmp_path, SMOLLM2, BASE)

    async def equip() -> None:
        there = {"a": Capacity(cpus=4000, memory=2**40)}
        async with opened_database(str(tmp_path)) as (_, database), database.begin() as connection:
            await connection.run_sync(machines.tell, "here", there, int(time.time()) + 1000)

    asyncio.run(equip())
    return tmp_path


def run(home: Path, *words: str) -> str:
    done = CliRunner().invoke(app, ["dedicated", *words, "--home", str(home)], catch_exceptions=True)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def listed(home: Path, *words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run(home, "list", "--json", *words))
    return found


def test_an_instance_is_made_listed_changed_and_ended(home: Path) -> None:
    assert listed(home) == []
    id = run(home, "create", "whisper-1").strip()
    [row] = listed(home)
    assert row["from"] and {**row, "from": ""} == {
        "id": id,
        "name": BASE,
        "model": BASE,
        "state": "running",
        "ready": "0/1",
        "load": 32,
        "context_length": 0,
        "spill_over": False,
        "server": "here",
        "from": "",
        "until": "",
        "price_per_hour": "1.500000000",
        "cost": "0.000000000",
    }
    changes = ("--load", "4", "--replicas", "2", "--name", "ours", "--spill-over", "--until", "2999-01-01")
    assert run(home, "update", id, *changes) == f"{id} is changed.\n"
    [row] = listed(home)
    assert (row["load"], row["ready"], row["name"], row["spill_over"]) == (4, "0/2", "ours", True)
    assert row["until"] == "2999-01-01 00:00 UTC"
    run(home, "update", id, "--no-end", "--no-spill-over")
    [row] = listed(home)
    assert (row["until"], row["spill_over"]) == ("", False)
    assert re.fullmatch(rf"{id} ended on 20.* UTC\.\n", run(home, "delete", id))
    assert listed(home)[0]["state"] == "ended"
    assert run(home, "list").split()[:3] == ["ID", "Name", "Model"]
    assert run(home, "list", "--csv").splitlines()[1].startswith(f"{id},ours,{BASE},ended,0/2,4,")


def test_an_instance_is_ordered_for_later_at_an_agreed_price(home: Path) -> None:
    words = ("--from", "2999-01-01", "--until", "2999-02-01T00:00Z", "--price", "37.5", "--context", "2048")
    made = json.loads(run(home, "create", SMOLLM2, *words, "--load", "8", "--replicas", "3", "--json"))
    assert (made["state"], made["from"], made["until"]) == (
        "scheduled",
        "2999-01-01 00:00 UTC",
        "2999-02-01 00:00 UTC",
    )
    assert (made["price_per_hour"], made["context_length"], made["ready"]) == ("37.500000000", 2048, "0/3")
    assert listed(home) == [made]


def test_the_calendar_shows_what_is_free(home: Path) -> None:
    run(home, "create", BASE, "--replicas", "3")
    [row] = json.loads(run(home, "calendar", "whisper-1", "--json", "--until", "2999-01-01"))
    assert (row["replicas"], row["until"]) == (1, "2999-01-01 00:00 UTC")
    assert "Free replicas" in run(home, "calendar", SMOLLM2)


def test_each_organization_has_its_own(home: Path) -> None:
    orgs = CliRunner().invoke(app, ["orgs", "create", "acme", "--home", str(home)])
    assert orgs.exit_code == 0, orgs.output
    id = run(home, "create", BASE, "--org", "acme").strip()
    assert listed(home) == [] and [row["id"] for row in listed(home, "--org", "acme")] == [id]
    for words in (("update", id, "--load", "2"), ("delete", id)):
        with pytest.raises(NotFound, match="no such dedicated instance"):
            run(home, *words)
    with pytest.raises(NotFound):
        run(home, "list", "--org", "nobody")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("create", "none"), "is not installed"),
        (("create", SMOLLM2), "not offered as a dedicated instance"),
        (("create", BASE, "--load", "0"), "'load'"),
        (("create", BASE, "--replicas", "0"), "'replicas'"),
        (("create", BASE, "--context", "5"), "'context_length'"),
        (("create", BASE, "--from", "2999-02-01", "--until", "2999-01-01"), "'ends_at'"),
        (("create", BASE, "--until", "2001-01-01"), "is over"),
        (("create", BASE, "--until", "soon"), "no time"),
        (("create", BASE, "--price", "-1"), "between \\$0 and"),
        (("create", BASE, "--price", "1000000.01"), "between \\$0 and"),
        (("create", BASE, "--price", "much"), "not an amount"),
        (("create", BASE, "--name", "a\tb"), "'name'"),
        (("create", BASE, "--replicas", "5"), "lacks 1 processors"),
        (("update", "dedicated_none", "--load", "2"), "no such dedicated instance"),
        (("update", "dedicated_none"), "nothing is to be changed"),
        (("update", "dedicated_none", "--until", "2999-01-01", "--no-end"), "not both"),
        (("delete", "dedicated_none"), "no such dedicated instance"),
        (("calendar", "none"), "is not installed"),
    ],
)
def test_what_cannot_be_is_refused(home: Path, words: tuple[str, ...], said: str) -> None:
    with pytest.raises((InvalidRequest, CommandFailed, CapacityTaken, NotFound), match=said):
        run(home, *words)
    assert listed(home) == []


def test_without_a_server_there_is_no_machine(tmp_path: Path) -> None:
    write(tmp_path, OFFER)
    pretend_installed(tmp_path, SMOLLM2, BASE)
    with pytest.raises(CapacityTaken, match="start the server first"):
        run(tmp_path, "create", BASE)

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from antiphon.access import tokens
from antiphon.cli.keys import keys


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("ANTIPHON_DATABASE", raising=False)
    return tmp_path / "home"


def run(home: Path, *arguments: str) -> Result:
    return CliRunner().invoke(keys, [*arguments, "--home", str(home)])


def listed(home: Path) -> list[dict[str, object]]:
    found = run(home, "list", "--json")
    assert found.exit_code == 0
    keys: list[dict[str, object]] = json.loads(found.stdout)
    return keys


def test_create_prints_the_key_alone_even_before_the_first_start(home: Path) -> None:
    made = run(home, "create")
    assert made.exit_code == 0
    assert tokens.is_well_formed(made.stdout.removesuffix("\n"))
    assert "not shown again" in made.stderr


def test_create_prints_json_for_scripts(home: Path) -> None:
    made = run(home, "create", "--json", "--name", "robot", "--project", "shop", "--expires-days", "2")
    answer = json.loads(made.stdout)
    assert set(answer) == {"id", "value"} and tokens.is_well_formed(answer["value"])
    [key] = listed(home)
    assert (key["id"], key["name"], key["project"]) == (answer["id"], "robot", "shop")
    assert int(str(key["expires_at"])) - int(str(key["created_at"])) in (172_799, 172_800)


def test_list_shows_the_state_and_never_the_key(home: Path) -> None:
    secret = run(home, "create", "--name", "[red]x").stdout.strip()
    revoked = json.loads(run(home, "create", "--json").stdout)
    assert run(home, "revoke", revoked["id"]).exit_code == 0
    shown = run(home, "list")
    assert shown.exit_code == 0 and secret[8:-4] not in shown.output
    rows = {line.split()[0]: line.rstrip() for line in shown.stdout.splitlines()}
    assert rows[revoked["id"]].endswith("revoked")
    [active] = [line for line in rows.values() if "[red]x" in line]
    assert active.endswith("active") and "never" in active
    assert sorted(str(key["state"]) for key in listed(home)) == ["active", "revoked"]


def test_list_of_nothing_is_an_empty_list(home: Path) -> None:
    assert listed(home) == []
    assert run(home, "list").exit_code == 0


def test_revoke_of_an_unknown_id_is_one_plain_line(home: Path) -> None:
    failed = run(home, "revoke", "key_nope")
    assert failed.exit_code == 1 and failed.stdout == ""
    assert failed.stderr == "antiphon: There is no API key with the id 'key_nope'.\n"


def test_a_day_that_is_none_is_a_usage_error(home: Path) -> None:
    assert run(home, "create", "--expires-days", "0").exit_code == 2
    assert not home.exists()

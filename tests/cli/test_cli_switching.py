"""`antiphon models switch` and others, by what they leave in the database and say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from antiphon.cli.main import app
from antiphon.cli.output import CommandFailed
from antiphon.errors import ConfigurationError
from antiphon.storage.database import Database
from operator_shell import begun
from pretended import BASE, SMOLLM2, TINY, pretend_installed


@pytest.fixture
def home(tmp_path: Path) -> Path:
    pretend_installed(tmp_path, SMOLLM2, BASE, TINY)
    return begun(tmp_path)


def run(home: Path, *words: str) -> str:
    done = CliRunner().invoke(app, ["models", *words, "--home", str(home)], catch_exceptions=True)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def changes(home: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run(home, "changes", "--json"))
    return found


def test_an_alias_is_switched_and_rolled_back(home: Path) -> None:
    assert changes(home) == []
    assert f"whisper-1 means {TINY}." in run(home, "switch", "whisper-1", TINY, "--notes", "smaller")
    assert [(row["to"], row["state"], row["notes"]) for row in changes(home)] == [
        (BASE, "over", ""),
        (TINY, "now", "smaller"),
    ]
    assert f"whisper-1 means {BASE} again" in run(home, "rollback", "whisper-1")
    assert [row["to"] for row in changes(home) if row["state"] == "now"] == [BASE]


def test_a_switch_is_announced_and_called_off(home: Path) -> None:
    said = run(home, "switch", "whisper-1", TINY, "--at", "2999-12-01")
    assert "2999-12-01 00:00 UTC" in said
    found = re.search("switch-[0-9a-f]+", said)
    assert found is not None
    assert [row["state"] for row in changes(home)] == ["now", "coming"]
    assert "called off" in run(home, "cancel", found[0])
    assert changes(home) == []


def test_the_end_of_a_snapshot_is_announced_and_called_off(home: Path) -> None:
    run(home, "retire", TINY, "--on", "2999-01-01", "--replacement", "whisper-1")
    [row] = changes(home)
    assert (row["what"], row["name"], row["to"], row["since"]) == ("end", TINY, "whisper-1", "2999-01-01")
    assert "replacement" not in run(home, "keep", TINY)
    assert changes(home) == []
    assert "whisper-1 means nothing from then on" in run(home, "retire", BASE, "--on", "2999-01-01")
    assert "nothing" not in run(home, "retire", BASE, "--on", "2999-01-01", "--replacement", TINY)


def test_users_are_told_from_one_look_at_the_database(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []

    class Watched(Database):
        def __init__(self, url: str, *rest: Any, **named: Any) -> None:
            opened.append(url)
            super().__init__(url, *rest, **named)

    monkeypatch.setattr("antiphon.access.pepper.Database", Watched)
    assert json.loads(run(home, "users", "whisper-1", "--json")) == []
    assert len(opened) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("switch", "whisper-2", TINY), "no alias 'whisper-2'"),
        (("switch", "whisper-1", "tiny"), "no snapshot 'tiny'"),
        (("switch", "whisper-1", SMOLLM2), "is for speech"),
        (("switch", "whisper-1", TINY, "--at", "tomorrow"), "no time"),
        (("switch", "whisper-1", TINY, "--at", "2999-01-01T10:00"), "no time"),
        (("switch", "whisper-1", TINY, "--at", "2001-01-01"), "is over"),
        (("users", "tiny"), "no snapshot 'tiny'"),
        (("rollback", "whisper-1"), "has never meant anything"),
        (("retire", TINY, "--on", "soon"), "no day"),
        (("retire", TINY, "--on", "2999-01-01", "--replacement", TINY), "no other model"),
        (("retire", BASE, "--on", "2999-01-01", "--replacement", "whisper-1"), f"means '{BASE}' itself"),
        (("retire", BASE, "--on", "2999-01-01", "--replacement", SMOLLM2), "is for speech"),
    ],
)
def test_what_cannot_be_is_refused(home: Path, words: tuple[str, ...], said: str) -> None:
    with pytest.raises((ConfigurationError, CommandFailed), match=re.escape(said)):
        run(home, *words)


def test_what_is_not_installed_is_not_switched_to(tmp_path: Path) -> None:
    pretend_installed(tmp_path, BASE)
    with pytest.raises(ConfigurationError, match="not installed"):
        run(tmp_path, "switch", "whisper-1", TINY)
    with pytest.raises(ConfigurationError, match="not installed"):
        run(tmp_path, "retire", BASE, "--on", "2999-01-01", "--replacement", TINY)

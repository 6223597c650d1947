"""`antiphon prices`, as the operator uses it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from antiphon.catalogue.catalogue import load
from antiphon.cli.prices import prices
from antiphon.errors import ConfigurationError
from antiphon.values import Price

CHAT, SPEECH = "smollm2-135m-instruct-2024-11-01", "whisper-base-2022-09-21"
SHIPPED = date(2023, 3, 1)

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def invoke(*arguments: str) -> Result:
        result = CliRunner().invoke(prices, [*arguments, "--home", str(tmp_path)])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception  # what the entry point turns into one line
        return result

    return invoke


def test_list(run: Run) -> None:
    rows = {row["snapshot"]: row for row in json.loads(run("list", "--json").stdout)}
    assert rows[CHAT] == {
        "snapshot": CHAT, "since": "2023-03-01", "input": "0.002", "cached_input": "0.002",
        "output": "0.002", "second": "0",
    }  # fmt: skip
    assert rows[SPEECH]["second"] == "0.0001"
    assert run("list", "--csv").stdout.startswith("snapshot,since,input,cached_input,output,second\n")
    assert "Second of sound" in run("list").stdout


def test_a_new_price_holds_from_its_day_on_and_the_old_one_before(run: Run, tmp_path: Path) -> None:
    said = run("set", CHAT, "--input", "0.003", "--output", "0.004", "--since", "2027-01-01").stdout
    assert "from 2027-01-01 on" in said and "in a second" in said
    old, new = load(tmp_path).entries[CHAT].prices
    assert (old.since, old.input) == (SHIPPED, 2_000_000)
    assert new == Price(since=date(2027, 1, 1), input=3_000_000, cached_input=3_000_000, output=4_000_000)


def test_prices_are_added_to_one_another(run: Run, tmp_path: Path) -> None:
    own = "# mine\n[aliases]\n"
    (tmp_path / "models.toml").write_text(own)
    run("set", SPEECH, "--second", "0.1", "--since", "2027-01-01")
    run("set", SPEECH, "--second", "0.2", "--since", "2027-02-01")
    run("set", CHAT, "--input", "1", "--cached-input", "0.5", "--since", "2027-02-01")
    run("set", SPEECH, "--second", "0.3", "--since", "2027-02-01")
    entries = load(tmp_path).entries
    assert [price.second for price in entries[SPEECH].prices] == [100_000, 10**8, 3 * 10**8]
    assert entries[CHAT].prices[-1].cached_input == 5 * 10**8
    assert (tmp_path / "models.toml").read_text().startswith(own)


def test_today_is_the_first_day_if_none_is_given(run: Run, tmp_path: Path) -> None:
    before = datetime.now(UTC).date()
    run("set", SPEECH, "--second", "0.1")
    assert before <= load(tmp_path).entries[SPEECH].prices[-1].since <= datetime.now(UTC).date()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nonesuch", "--input", "1"), "no snapshot 'nonesuch'"),
        (("gpt-3.5-turbo", "--input", "1"), "no snapshot 'gpt-3.5-turbo'"),
        ((CHAT, "--input", "cheap"), "input"),
        ((CHAT, "--since", "soon"), "since"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        run("set", *arguments)
    assert not (tmp_path / "models.toml").exists()


def test_a_file_that_cannot_be_added_to_is_left_alone(run: Run, tmp_path: Path) -> None:
    own = f'[snapshots."{SPEECH}"]\nprices = [{{ since = 2026-11-01, second = "1" }}]\n'
    (tmp_path / "models.toml").write_text(own)
    with pytest.raises(ConfigurationError, match="cannot be added to"):
        run("set", SPEECH, "--second", "2")
    assert (tmp_path / "models.toml").read_text() == own

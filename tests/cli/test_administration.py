"""Lists in three forms."""

from __future__ import annotations

import pytest

from antiphon.cli.administration import show
from antiphon.cli.output import CommandFailed, ExitCode

COLUMNS = {"id": "ID", "name": "Name", "used_at": "Used", "on": "On"}
ROWS = [
    {"id": "a", "name": "[red]x", "used_at": 86_400, "on": True, "hidden": [1]},
    {"id": "b", "name": None, "used_at": None, "on": False, "hidden": [2]},
]


def test_a_table_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    show(ROWS, COLUMNS, as_json=False, as_csv=False)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        ["ID", "Name", "Used", "On"],
        ["a", "[red]x", "1970-01-02", "yes"],
        ["b", "never", "no"],
    ]


def test_json_holds_every_field(capsys: pytest.CaptureFixture[str]) -> None:
    show(ROWS[1:], COLUMNS, as_json=True, as_csv=False)
    expected = '[{"id": "b", "name": null, "used_at": null, "on": false, "hidden": [2]}]\n'
    assert capsys.readouterr().out == expected


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@a", "\tx", "\rx"])
def test_csv_holds_the_columns_and_no_formula(capsys: pytest.CaptureFixture[str], name: str) -> None:
    show([{**ROWS[0], "name": name}], {"name": "Name", "used_at": "Used"}, as_json=False, as_csv=True)
    head, row = capsys.readouterr().out.split("\n", 1)
    assert head == "name,used_at"
    assert row.strip('"\n').startswith(f"'{name}")


def test_both_at_once_is_wrong_usage() -> None:
    with pytest.raises(CommandFailed) as caught:
        show([], COLUMNS, as_json=True, as_csv=True)
    assert caught.value.exit_code is ExitCode.USAGE

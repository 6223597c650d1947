"""Tables, page by page, and taken along."""

from __future__ import annotations

import pytest

from antiphon.console.tables import Around, around, harmless


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "\n=1", "  =1"])
def test_no_spreadsheet_takes_a_name_for_a_formula(cell: str) -> None:
    assert harmless(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["bot", "a=b", "2026-11-01", "", -5, 0.5, None])
def test_everything_else_is_as_it_was(cell: object) -> None:
    assert harmless(cell) == cell


@pytest.mark.parametrize(
    ("place", "more", "newer", "older"),
    [
        ({}, False, "", ""),
        ({}, True, "", "after=a"),
        ({"after": "z"}, True, "before=b", "after=a"),
        ({"after": "z"}, False, "before=b", ""),
        ({"before": "0"}, True, "before=b", "after=a"),
        ({"before": "0"}, False, "", "after=a"),
    ],
)
def test_a_list_goes_on_both_ways_and_keeps_its_filters(
    place: dict[str, str], more: bool, newer: str, older: str
) -> None:
    found = around("/list", {"state": "open", "of": "", **place}, ["b", "a"], more)
    links = [f"/list?state=open&{one}" if one else "" for one in (newer, older)]
    assert found == Around(*links)
    assert around("/list", place, [], more) == Around()

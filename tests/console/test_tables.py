"""Tables that are taken along."""

from __future__ import annotations

import pytest

from antiphon.console.tables import harmless


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "\n=1", "  =1"])
def test_no_spreadsheet_takes_a_name_for_a_formula(cell: str) -> None:
    assert harmless(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["bot", "a=b", "2026-11-01", "", -5, 0.5, None])
def test_everything_else_is_as_it_was(cell: object) -> None:
    assert harmless(cell) == cell

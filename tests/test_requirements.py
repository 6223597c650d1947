"""Requirements of `docs/security.md` and faults of `docs/reliability.md` have their tests, which exist."""

from __future__ import annotations

import pytest
from benchmarks.marks import PAGES, marked, shown

REQUIREMENTS = {f"R{number}" for number in range(1, 27)}
CELLS = 30
"""Faults that there are at least."""


@pytest.mark.parametrize("kind", PAGES)
def test_the_page_names_exactly_the_tests_that_are_marked(kind: str) -> None:
    tests = marked(kind)
    assert shown(kind) == tests, "python -m benchmarks.marks writes them into the page"


def test_every_requirement_has_a_test() -> None:
    assert set(marked("requirement")) == REQUIREMENTS


def test_there_are_about_thirty_faults() -> None:
    assert len(marked("fault")) >= CELLS

"""Requirements of `docs/security.md` and faults of `docs/reliability.md` have their tests, which exist."""

from __future__ import annotations

import re

import pytest
from benchmarks.marks import PAGES, ROOT, marked, shown

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


def test_every_test_that_a_page_names_exists() -> None:
    named = {
        (page.name, file, test)
        for page in sorted((ROOT / "docs").glob("*.md"))
        for file, test in re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", page.read_text())
    }
    assert len(named) > 50
    missing = [
        one
        for one in named
        if not (ROOT / one[1]).exists() or (one[2] and f"def {one[2]}(" not in (ROOT / one[1]).read_text())
    ]
    assert missing == []

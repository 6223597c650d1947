"""Which tests hold which requirement and show which fault: read from their marks, and written into the pages.

    python -m benchmarks.marks

rewrites the last column of the tables of `docs/security.md` and `docs/reliability.md`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = {"requirement": ROOT / "docs" / "security.md", "fault": ROOT / "docs" / "reliability.md"}
"""The page with one table whose last column is called Tests: a row for each name of a kind of mark."""
_TABLE = re.compile(r"^\|.*\| Tests \|\n(?:\|.*\n)+", re.MULTILINE)
_ROW = re.compile(r"^\| ([^|]+?) \|(.*)\| ((?:`tests/[^|]*`)?) ?\|$", re.MULTILINE)


def marked(kind: str) -> Mapping[str, list[str]]:
    """The tests of each name that a mark of this kind has, as pytest calls them: `tests/a.py::test_b`."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                for name in _names(node, kind):
                    found.setdefault(name, []).append(f"{path.relative_to(ROOT)}::{node.name}")
    return found


def _names(node: ast.FunctionDef | ast.AsyncFunctionDef, kind: str) -> Iterator[str]:
    for one in node.decorator_list:
        if isinstance(one, ast.Call) and ast.unparse(one.func) == f"pytest.mark.{kind}":
            yield ast.literal_eval(one.args[0])


def shown(kind: str) -> Mapping[str, list[str]]:
    """The tests that the page names in each row of its table."""
    [table] = _TABLE.findall(PAGES[kind].read_text())
    return {row[1]: re.findall(r"`([^`]+)`", row[3]) for row in _ROW.finditer(table) if row[3]}


def write(kind: str) -> None:
    """Name the tests in the page as they are marked."""
    tests = marked(kind)

    def named(row: re.Match[str]) -> str:
        if row[1] not in tests:
            return row[0]
        return f"| {row[1]} |{row[2]}| {' '.join(f'`{test}`' for test in tests[row[1]])} |"

    page = PAGES[kind].read_text()
    PAGES[kind].write_text(_TABLE.sub(lambda table: _ROW.sub(named, table[0]), page))


if __name__ == "__main__":
    for kind in PAGES:
        write(kind)

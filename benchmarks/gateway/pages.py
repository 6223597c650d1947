"""Fills the tables of docs/gateway.md from the newest results: `python -m benchmarks.gateway.pages`.

A table stands between `<!-- gateway: NAME -->` and `<!-- /gateway -->`; what stands there is replaced. The
names are those of `tables.GRIDS`.
"""

from __future__ import annotations

import re

from benchmarks.gateway import tables
from benchmarks.gateway.values import Results, newest
from benchmarks.speech.pages import RESULTS, ROOT

PAGE = ROOT / "docs" / "gateway.md"
BLOCK = re.compile(r"(<!-- gateway: (\w+) -->\n).*?(<!-- /gateway -->)", re.DOTALL)


def filled(page: str, found: Results | None) -> str:
    """The page with its tables renewed; as it is where there are no results.

    Raises `KeyError` for a table that does not exist.
    """
    if found is None:
        return page

    def renewed(block: re.Match[str]) -> str:
        start, name, end = block.groups()
        grid = tables.GRIDS[name](found)
        text = f"{tables.about(found)}. {grid.title}:\n\n{grid.markdown()}\n" if grid else ""
        return start + text + end

    return BLOCK.sub(renewed, page)


def main() -> None:
    PAGE.write_text(filled(PAGE.read_text(), newest(RESULTS)))


if __name__ == "__main__":
    main()

"""Fills the tables of README.md and docs/benchmarks.md from the newest results.

python -m benchmarks.speech.pages

A table stands between `<!-- speech: NAME -->` and `<!-- /speech -->`; what stands there is replaced. The
names are those of `tables.GRIDS`, each beam's newest run in turn, and `headline`, the widest beam alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks.speech import tables
from benchmarks.speech.values import Results, newest

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
PAGES = (ROOT / "README.md", ROOT / "docs" / "benchmarks.md")
BLOCK = re.compile(r"(<!-- speech: ([\w-]+) -->\n).*?(<!-- /speech -->)", re.DOTALL)


def filled(page: str, results: Sequence[Results]) -> str:
    """The page with its tables renewed; as it is where there are no results.

    Raises `KeyError` for a table that does not exist.
    """
    return BLOCK.sub(partial(_renewed, results), page) if results else page


def _renewed(results: Sequence[Results], block: re.Match[str]) -> str:
    start, name, end = block.groups()
    texts = _headline(results[0]) if name == "headline" else _tables(name, results)
    return start + "\n\n".join(texts) + ("\n" if texts else "") + end


def _headline(found: Results) -> list[str]:
    grid = tables.headline(found)
    return [f"{tables.about(found)}.", grid.markdown()] if grid else []


def _tables(name: str, results: Sequence[Results]) -> list[str]:
    texts = []
    for found in results:
        if grid := tables.GRIDS[name](found):
            texts += [f"Beam {found.facts.beam}, {found.date}. {grid.title}:", grid.markdown()]
    return texts


def main() -> None:
    results = newest(RESULTS)
    for page in PAGES:
        page.write_text(filled(page.read_text(), results))


if __name__ == "__main__":
    main()

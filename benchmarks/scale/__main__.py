"""The tables of docs/scale.md: what each part carries at three sizes, from what was measured.

    python -m benchmarks.scale        # shows them; `python -m benchmarks.pages` writes them into the page

Nothing is measured here. What was is read from the newest results of the benchmarks of chat, speech, gateway
and footprint; what a part is asked for a request is taken from the code. What nobody measured is a constant
below, said to be assumed, and on the page.
"""

from __future__ import annotations

from rich.console import Console

from benchmarks.runs import RESULTS
from benchmarks.scale.figures import read
from benchmarks.scale.tables import GRIDS


def main() -> None:
    found = read(RESULTS)
    if found is None:
        raise SystemExit("results are missing: of benchmarks.chat, .gateway, .speech or .footprint")
    for grid in GRIDS.values():
        Console().print(grid(found).rich())


if __name__ == "__main__":
    main()

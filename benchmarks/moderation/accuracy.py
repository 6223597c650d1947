"""`python -m benchmarks.moderation.accuracy`: precision and recall of each scorer for each category, as a
table.

The texts are those of `tests/data/moderation`, of which no one was trained with. A text counts as found
from a score of 0.5 on.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from antiphon.moderation.scorers import panel
from antiphon.moderation.scoring import FLAGGED
from antiphon.settings import Settings
from antiphon.wire.moderations import CATEGORIES
from benchmarks.moderation.texts import TEST, Labelled, read

SIDES = ("rules", "classifier", "rules classifier")
ANY = "any category"


class Counts(NamedTuple):
    """Texts that were rightly found, wrongly found, and missed."""

    right: int
    wrong: int
    missed: int

    @property
    def precision(self) -> float | None:
        found = self.right + self.wrong
        return self.right / found if found else None

    @property
    def recall(self) -> float | None:
        there = self.right + self.missed
        return self.right / there if there else None


def counted(texts: Sequence[Labelled], scores: Sequence[Mapping[str, float]]) -> dict[str, Counts]:
    """For each category, and for whether there is any at all."""
    found = [frozenset(name for name, score in one.items() if score >= FLAGGED) for one in scores]
    pairs = [(one.categories, seen) for one, seen in zip(texts, found, strict=True)]
    by_name = {name: [(name in there, name in seen) for there, seen in pairs] for name in CATEGORIES}
    by_name[ANY] = [(bool(there), bool(seen)) for there, seen in pairs]
    return {
        name: Counts(cells.count((True, True)), cells.count((False, True)), cells.count((True, False)))
        for name, cells in by_name.items()
    }


async def measured(scorers: str, texts: Sequence[Labelled]) -> dict[str, Counts]:
    asked = panel(Settings(home="/nowhere", moderation_scorers=scorers))
    await asked.start()
    try:
        found = await asked.score([one.text for one in texts])
    finally:
        await asked.close()
    return counted(texts, [{name: one.score for name, one in by_name.items()} for by_name in found])


def table(texts: Sequence[Labelled], sides: Mapping[str, Mapping[str, Counts]]) -> str:
    """Markdown: a row for each category, with precision and recall of each side."""
    lines = [
        "| Category | Texts | " + " | ".join(f"{side.replace(' ', ' and ')}" for side in sides) + " |",
        "|---|---|" + "---|" * len(sides),
    ]
    for name in (*CATEGORIES, ANY):
        there = sum(bool(one.categories) if name == ANY else name in one.categories for one in texts)
        cells = [f"{_share(side[name].precision)} / {_share(side[name].recall)}" for side in sides.values()]
        lines.append(f"| {name} | {there} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _share(share: float | None) -> str:
    return "-" if share is None else f"{share:.2f}"


def main() -> None:
    texts = read(TEST)
    sides = {side: asyncio.run(measured(side, texts)) for side in SIDES}
    harmless = sum(not one.categories for one in texts)
    sys.stdout.write(
        f"{len(texts)} texts, {harmless} of them harmless; precision / recall\n\n{table(texts, sides)}\n"
    )


if __name__ == "__main__":
    main()

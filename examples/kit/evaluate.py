"""Counts what an evaluation found right, shows it, and keeps it beside the application."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any


class Findings:
    """Turns of an evaluation, and what was checked in each."""

    def __init__(self) -> None:
        self._turns: list[dict[str, Any]] = []

    def add(self, turn: str, checks: Mapping[str, bool], answer: Any = None) -> None:
        """A turn: what was said, each check and whether it holds, and what came of it."""
        answered = {} if answer is None else {"answer": answer}
        self._turns.append({"turn": turn, **answered, "checks": dict(checks)})
        wrong = [kind for kind, well in checks.items() if not well]
        print("right" if not wrong else f"WRONG ({'; '.join(wrong)})", "·", turn, flush=True)

    def keep(self, folder: Path, larger_model: str = "not measured", **about: Any) -> None:
        """Show how often each check held, as a table, and write all to `evaluation.json` in the folder.

        `larger_model` says how well another than the bundled model did, where one could be had.
        """
        of = Counter(kind for one in self._turns for kind in one["checks"])
        right = Counter(kind for one in self._turns for kind, well in one["checks"].items() if well)
        print("\n| what | right | of |\n| --- | ---: | ---: |")
        for kind in of:
            print(f"| {kind} | {right[kind]} | {of[kind]} |")
        report = {
            **about,
            "larger_model": larger_model,
            "date": date.today().isoformat(),
            "turns": len(self._turns),
            "right_of": {kind: [right[kind], of[kind]] for kind in of},
            "results": self._turns,
        }
        text = json.dumps(report, indent=1, ensure_ascii=False)
        (folder / "evaluation.json").write_text(text + "\n", "utf-8")

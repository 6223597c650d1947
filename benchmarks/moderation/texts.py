"""Labelled texts: what the classifier is trained with, and what it is judged by; none is in both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

TRAINING = Path(__file__).parent / "training"
TEST = Path(__file__).parents[2] / "tests" / "data" / "moderation"


class Labelled(NamedTuple):
    text: str
    categories: frozenset[str]


def read(folder: Path) -> list[Labelled]:
    """Every text of the files of a folder, in the order of their names."""
    return [
        Labelled(row["text"], frozenset(row["categories"]))
        for file in sorted(folder.glob("*.jsonl"))
        for row in map(json.loads, file.read_text(encoding="utf-8").splitlines())
    ]

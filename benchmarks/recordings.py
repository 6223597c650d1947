"""A folder of recordings with a `manifest.tsv`: path, seconds, language, reference, source, licence."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Recording:
    path: Path
    seconds: float
    language: str
    """ISO 639-1."""
    reference: str
    """What is said, as its publisher wrote it."""


def read(folder: Path) -> list[Recording]:
    """The recordings that the manifest names, in its order."""
    with (folder / "manifest.tsv").open(newline="") as manifest:
        return [
            Recording(folder / row["path"], float(row["seconds"]), row["language"], row["reference"])
            for row in csv.DictReader(manifest, delimiter="\t", quoting=csv.QUOTE_NONE)
        ]

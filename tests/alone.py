"""A data folder that serves few of the bundled models, or none: what a test does not ask need not start."""

from __future__ import annotations

from pathlib import Path

from antiphon.catalogue.document import FILE_NAME, document


def alone(home: Path, *kept: str) -> Path:
    """The folder, made, with a models.toml that takes every name away that ships with Antiphon but `kept`."""
    home.mkdir(parents=True, exist_ok=True)
    names = document(Path(FILE_NAME), "").aliases.keys() - set(kept)
    (home / FILE_NAME).write_text("[aliases]\n" + "".join(f'"{name}" = false\n' for name in sorted(names)))
    return home

"""Adding to `ANTIPHON_HOME/models.toml`: what the operator wrote, comments too, stays as it is."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

from antiphon.catalogue.catalogue import build
from antiphon.catalogue.document import read
from antiphon.catalogue.store import ModelStore
from antiphon.errors import ConfigurationError


def append(path: Path, tables: str, store: ModelStore) -> None:
    """Write TOML tables behind what is in the file, if the catalogue can be read with them.

    Raises `ConfigurationError`, and then the file is as it was.
    """
    before = read(path)
    text = f"{before.rstrip()}\n\n{tables}" if before else tables
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise ConfigurationError(
            f"{path} cannot be added to: {problem}",
            fix='open its tables with [aliases], [snapshots] and [[snapshots."...".prices]]',
        ) from None
    build(path, text, store)
    fresh = path.with_suffix(f".{os.getpid()}")
    try:
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)
    except OSError as problem:
        raise ConfigurationError(
            f"{path} cannot be written: {problem.strerror}", fix="see antiphon doctor"
        ) from None

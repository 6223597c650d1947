"""Adding to `ANTIPHON_HOME/models.toml`: what the operator wrote, comments too, stays as it is."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

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


def tables(found: Iterable[tuple[str, Mapping[str, Any]]]) -> str:
    """Tables of TOML: each heading, with its brackets, over its fields; empty ones are left out."""
    return "\n".join(f"{heading}\n{_lines(fields)}" for heading, fields in found)


def _lines(table: Mapping[str, Any]) -> str:
    return "".join(f"{key} = {_value(value)}\n" for key, value in table.items() if value)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_value(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, date):
        return value.isoformat()  # TOML has dates of its own
    # A JSON string, number or boolean is a TOML one too.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")

"""Engines: one file each, found by being here."""

from __future__ import annotations

import importlib
import pkgutil

from antiphon.engines.base import EngineKind


def kinds() -> dict[str, EngineKind]:
    """Every engine of this package by name."""
    found: dict[str, EngineKind] = {}
    for module in pkgutil.iter_modules(__path__):
        kind = getattr(importlib.import_module(f"{__name__}.{module.name}"), "ENGINE", None)
        if isinstance(kind, EngineKind):
            found[kind.name] = kind
    return found

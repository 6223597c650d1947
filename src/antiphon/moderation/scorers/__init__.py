"""The kinds of scorers: a module each, found by its name, which defines `build`."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from importlib import import_module

from antiphon.errors import ConfigurationError
from antiphon.moderation.scoring import Panel, Scorer
from antiphon.settings import Settings


def names() -> list[str]:
    """Every kind there is."""
    return sorted(found.name for found in pkgutil.iter_modules(__path__))


def panel(settings: Settings) -> Panel:
    """The scorers that the setting `moderation_scorers` names, not yet started.

    Raises `ConfigurationError` for one that there is not, or whose own settings are wrong.
    """
    wanted = list(dict.fromkeys(settings.moderation_scorers.split()))
    for name in wanted:
        if name not in names():
            raise ConfigurationError(
                f"moderation_scorers: there is no scorer '{name}'", fix=f"choose among {', '.join(names())}"
            )
    return Panel([_build(name)(settings) for name in wanted])


def _build(name: str) -> Callable[[Settings], Scorer]:
    build: Callable[[Settings], Scorer] = import_module(f"{__name__}.{name}").build
    return build

"""Which of the engines that a snapshot names serve it on this machine."""

from __future__ import annotations

import msgspec

from antiphon import engines
from antiphon.catalogue import preparing
from antiphon.catalogue.entries import Entry
from antiphon.catalogue.store import ModelStore
from antiphon.engines.base import EngineKind
from antiphon.errors import ConfigurationError


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """An engine for a snapshot. `why` says in a few words what it was chosen for."""

    kind: EngineKind
    alternative: bool = False
    why: str


def choices(entry: Entry, store: ModelStore) -> list[Choice]:
    """The preferred engine, and those that run on demand since they can do what those before cannot.

    Preferred is the first that the machine suits, in the order of the entry, and for which the model could
    be prepared; if there is none, the last. Raises `ConfigurationError` for an engine that does not exist or
    does not serve the entry's task.
    """
    kinds = [_kind(entry, name) for name in entry.engines]
    reasons = [kind.unsuited() or preparing.failure(store, entry, kind) for kind in kinds]
    at = next((index for index, reason in enumerate(reasons) if not reason), len(kinds) - 1)
    chosen = [Choice(kind=kinds[at], why=_why(kinds, reasons, at))]
    able = set(kinds[at].features)
    for kind in kinds[:at] + kinds[at + 1 :]:
        more = kind.features - able
        if more and not preparing.failure(store, entry, kind):
            able |= more
            chosen.append(
                Choice(kind=kind, alternative=True, why=f"on demand, for {', '.join(sorted(more))}")
            )
    return chosen


def _why(kinds: list[EngineKind], reasons: list[str], at: int) -> str:
    if len(kinds) == 1:
        return "the only one named"
    passed = "; ".join(f"{kind.name} {reason}" for kind, reason in zip(kinds[:at], reasons[:at], strict=True))
    return passed or "the first named, and the machine suits it"


def _kind(entry: Entry, name: str) -> EngineKind:
    kinds = engines.kinds()
    fitting = sorted(kind.name for kind in kinds.values() if kind.task == entry.task)
    if name not in fitting:
        raise ConfigurationError(
            f"'{entry.id}' asks for the engine '{name}', which does not serve {entry.task}",
            fix=f"engines for {entry.task}: {', '.join(fitting)}",
        )
    return kinds[name]

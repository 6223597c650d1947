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

    Preferred is the first, in the order of the entry, that can serve the model and that the machine suits; if
    it suits none, the last that can. Raises `ConfigurationError` if none can, and for an engine that does not
    exist or does not serve the entry's task.
    """
    kinds = [_kind(entry, name) for name in entry.engines]
    barred = {kind.name: reason for kind in kinds if (reason := _barred(entry, store, kind))}
    able = [kind for kind in kinds if kind.name not in barred]
    if not able:
        reasons = "; ".join(f"{name} {reason}" for name, reason in barred.items())
        raise ConfigurationError(
            f"No engine can serve '{entry.id}': {reasons}", fix="name another engine for it in models.toml"
        )
    preferred = next((kind for kind in able if not kind.unsuited()), able[-1])
    chosen = [Choice(kind=preferred, why=_why(kinds, preferred, barred))]
    features = set(preferred.features)
    for kind in able:
        if more := kind.features - features:
            features |= more
            chosen.append(
                Choice(kind=kind, alternative=True, why=f"on demand, for {', '.join(sorted(more))}")
            )
    return chosen


def _barred(entry: Entry, store: ModelStore, kind: EngineKind) -> str:
    """Why an engine cannot serve a model; nothing if it can."""
    if entry.format not in kind.reads:
        return f"does not read {entry.format}"
    return preparing.failure(store, entry, kind)


def _why(kinds: list[EngineKind], preferred: EngineKind, barred: dict[str, str]) -> str:
    """What the preferred engine was chosen for, with what speaks against those before it, and who cannot."""
    if len(kinds) == 1:
        return "the only one named"
    at = kinds.index(preferred)
    before = {kind.name: barred.get(kind.name) or kind.unsuited() for kind in kinds[:at]}
    told = [f"{name} {reason}" for name, reason in (before | barred).items()]
    if at == 0:
        told.insert(
            0, "no other can" if preferred.unsuited() else "the first named, and the machine suits it"
        )
    return "; ".join(told)


def _kind(entry: Entry, name: str) -> EngineKind:
    kinds = engines.kinds()
    fitting = sorted(kind.name for kind in kinds.values() if kind.task == entry.task)
    if name not in fitting:
        raise ConfigurationError(
            f"'{entry.id}' asks for the engine '{name}', which does not serve {entry.task}",
            fix=f"engines for {entry.task}: {', '.join(fitting)}",
        )
    return kinds[name]

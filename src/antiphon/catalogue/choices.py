"""Which of the engines that a snapshot names serve it on this machine."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from antiphon import engines
from antiphon.catalogue import preparing
from antiphon.catalogue.entries import Entry
from antiphon.catalogue.store import ModelStore
from antiphon.engines import remote
from antiphon.engines.base import EngineKind
from antiphon.errors import ConfigurationError
from antiphon.settings import Settings


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """An engine for a snapshot. `why` says in a few words what it was chosen for."""

    kind: EngineKind
    alternative: bool = False
    why: str


def choices(entry: Entry, store: ModelStore, settings: Settings) -> list[Choice]:
    """The preferred engine, and those that run on demand since they can do what those before cannot.

    Preferred is the first, in the order of the entry, that can serve the model and that the machine suits; if
    it suits none, the last that can. What needs accelerators of a cluster does not run on this machine, which
    tells nothing of it then: the first that can read the model is taken.

    Raises `ConfigurationError` if none can, for an engine that does not exist or does not serve the entry's
    task, and for a URL that the settings do not allow.
    """
    if entry.site is not None:
        remote.check(entry.id, entry.site, settings)
    kinds = [_kind(entry, name) for name in entry.engines]
    barred = {kind.name: reason for kind in kinds if (reason := _barred(entry, store, settings, kind))}
    able = [kind for kind in kinds if kind.name not in barred]
    if not able:
        reasons = "; ".join(f"{name} {reason}" for name, reason in barred.items())
        raise ConfigurationError(
            f"No engine can serve '{entry.id}': {reasons}", fix="name another engine for it in models.toml"
        )
    unsuited = {}
    if not _away(entry, settings):
        unsuited = {kind.name: reason for kind in able if (reason := kind.unsuited(settings))}
    preferred = next((kind for kind in able if kind.name not in unsuited), able[-1])
    chosen = [Choice(kind=preferred, why=_why(entry.engines, preferred.name, barred, unsuited))]
    features = set(preferred.features)
    for kind in able:
        if more := kind.features - features:
            features |= more
            chosen.append(
                Choice(kind=kind, alternative=True, why=f"on demand, for {', '.join(sorted(more))}")
            )
    return chosen


def _away(entry: Entry, settings: Settings) -> bool:
    """Whether its engines run on other machines, those of a cluster that have accelerators."""
    return settings.runtime == "ray" and entry.needs.gpus > 0


def _barred(entry: Entry, store: ModelStore, settings: Settings, kind: EngineKind) -> str:
    """Why an engine cannot serve a model; nothing if it can."""
    if entry.format not in kind.reads:
        return f"does not read {entry.format}"
    absent = "" if _away(entry, settings) else kind.absent(settings)
    return absent or preparing.failure(store, entry, kind)


def _why(names: Sequence[str], preferred: str, barred: dict[str, str], unsuited: dict[str, str]) -> str:
    """What the preferred engine was chosen for, with what speaks against those before it, and who cannot."""
    if len(names) == 1:
        return "the only one named"
    before = names[: names.index(preferred)]
    told = [f"{name} {barred.get(name) or unsuited[name]}" for name in names if name in {*barred, *before}]
    if not before:
        unfit = preferred in unsuited
        told.insert(0, "no other can" if unfit else "the first named, and the machine suits it")
    return "; ".join(told)


def _kind(entry: Entry, name: str) -> EngineKind:
    kinds = engines.kinds()
    fitting = sorted(kind.name for kind in kinds.values() if kind.task == entry.task)
    if name not in fitting:
        elsewhere = "; vLLM transcribes at its URL, by openai_speech" if entry.task == "speech" else ""
        raise ConfigurationError(
            f"'{entry.id}' asks for the engine '{name}', which does not serve {entry.task}",
            fix=f"engines for {entry.task}: {', '.join(fitting)}{elsewhere}",
        )
    return kinds[name]

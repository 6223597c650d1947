"""How snapshots are launched: the deployments of an entry, and of a dedicated instance of it."""

from __future__ import annotations

import hashlib
import logging

import msgspec

from antiphon.catalogue import preparing
from antiphon.catalogue.choices import choices
from antiphon.catalogue.entries import Entry
from antiphon.catalogue.instances import Instance
from antiphon.catalogue.store import ModelStore
from antiphon.engines.base import EngineKind
from antiphon.engines.template import reviewed
from antiphon.errors import ConfigurationError
from antiphon.settings import Settings
from antiphon.values import Deployment

log = logging.getLogger("antiphon.catalogue")


def deployments(entry: Entry, store: ModelStore, settings: Settings) -> list[Deployment]:
    """One for the engine that is preferred, and one for each that can do what it cannot."""
    return [
        Deployment(
            snapshot=entry.id,
            alternative=choice.alternative,
            on_demand=choice.alternative,
            task=entry.task,
            engine=choice.kind.name,
            model=store.path(entry),
            prepared=preparing.folder(store, entry, choice.kind),
            context=entry.context,
            slots=entry.slots_of(choice.kind.name),
            replicas=entry.scale.least,
            most_replicas=entry.scale.most,
            needs=entry.needs.capacity,
            site=entry.site,
            options={
                name: value
                for name, value in (
                    ("template", entry.template),
                    ("cache_tokens", entry.cache_tokens),
                    ("vllm", msgspec.to_builtins(entry.vllm)),
                    ("pooling", entry.pooling),
                )
                if value
            },
            digest=_digest(entry, choice.kind, settings),
        )
        for choice in choices(entry, store, settings)
    ]


def dedicated(entry: Entry, instance: Instance, store: ModelStore, settings: Settings) -> Deployment | None:
    """How an instance is launched: as its snapshot is, at its own size, by its engine while there is that.

    None, which is logged, if no engine can serve it: that must not keep everybody else from being served.
    """
    try:
        found = sized(entry, instance.engine, instance.context, instance.load, store, settings)
    except ConfigurationError as problem:
        log.error("the instance %s cannot run: %s", instance.id, problem)
        return None
    return msgspec.structs.replace(
        found,
        instance=instance.id,
        organization=instance.organization_id,
        spill_over=instance.spill_over,
        replicas=instance.replicas,
        most_replicas=instance.replicas,
        needs=instance.needs,
    )


def sized(
    entry: Entry, engine: str, context: int, load: int, store: ModelStore, settings: Settings
) -> Deployment:
    """How a snapshot is launched at a size of its own, by this engine while there is that.

    Raises `ConfigurationError` if no engine can serve it.
    """
    # Its cache is as large as its own context and load make it.
    found = deployments(msgspec.structs.replace(entry, context=context, cache_tokens=None), store, settings)
    chosen = next((one for one in found if one.engine == engine), found[0])
    return msgspec.structs.replace(chosen, alternative=False, on_demand=False, slots=load)


def _digest(entry: Entry, kind: EngineKind, settings: Settings) -> str:
    template = entry.template and reviewed(entry.template)
    parts = [kind.name, kind.version(settings), kind.preparation_version, template, entry.context]
    parts += [file.sha256 for file in entry.files]
    parts += [entry.pooling] if entry.pooling else []
    parts += [told] if kind.name == "vllm" and (told := msgspec.to_builtins(entry.vllm)) else []
    parts += [*entry.site.urls, entry.site.model] if entry.site else []
    return hashlib.sha256(repr(parts).encode()).hexdigest()

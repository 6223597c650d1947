"""What may be ordered as a dedicated instance: plain checks of an order against the catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, time

import msgspec

from antiphon.catalogue.catalogue import Catalogue
from antiphon.catalogue.entries import Entry
from antiphon.errors import InvalidRequest

REPLICAS = 64
LEAST_CONTEXT = 16


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """An instance that is asked for. Moments are unix seconds; None stands for what is usual."""

    model: str
    """A snapshot, or an alias for the one that it means now."""
    name: str = ""
    context: int | None = None
    load: int | None = None
    replicas: int = 1
    begins_at: int | None = None
    """Now, if that is None or past."""
    ends_at: int | None = None
    """It goes on until it is deleted if this is None."""
    spill_over: bool = False
    price: int | None = None
    """Nano-dollars an hour for each replica: the operator's to say, or else the catalogue's."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be another; what is left out stays as it is."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    context: int | msgspec.UnsetType = msgspec.UNSET
    load: int | msgspec.UnsetType = msgspec.UNSET
    replicas: int | msgspec.UnsetType = msgspec.UNSET
    spill_over: bool | msgspec.UnsetType = msgspec.UNSET
    ends_at: int | None | msgspec.UnsetType = msgspec.UNSET

    def wanted(self) -> dict[str, object]:
        """By field, what was said."""
        said = msgspec.structs.asdict(self)
        return {name: value for name, value in said.items() if value is not msgspec.UNSET}

    def without(self, found: Mapping[str, object], seen: Mapping[str, object]) -> Change:
        """The same but for what is not any more as it was seen."""
        kept = {name: value for name, value in self.wanted().items() if found[name] == seen[name]}
        return msgspec.convert(kept, Change)


def offered(catalogue: Catalogue, model: str, *, priced: bool) -> Entry:
    """The snapshot that is meant, if it is to be had as an instance; `priced` if a price was agreed anyway.

    Raises `InvalidRequest`.
    """
    id = catalogue.meaning(model) if model in catalogue.aliases else model
    entry = catalogue.entries.get(id)
    if entry is None or id not in catalogue.installed:
        raise _wrong("model", f"the model '{model[:200]}' is not installed")
    if entry.dedicated is None and not priced:
        offers = [e.id for e in catalogue.entries.values() if e.dedicated and e.id in catalogue.installed]
        there = (
            f"These are: {', '.join(offers)}."
            if offers
            else "None is: the operator sets a price first, in models.toml or with the order."
        )
        raise _wrong("model", f"'{id}' is not offered as a dedicated instance. {there}".rstrip("."))
    if entry.site is not None:
        raise _wrong("model", f"'{id}' is served elsewhere: there is nothing here to reserve for it")
    if id in catalogue.ended:
        raise _wrong("model", f"'{id}' was shut down on {entry.shutdown}")
    return entry


def checked_context(entry: Entry, context: int | None) -> int:
    """The context of an instance. Raises `InvalidRequest`."""
    if entry.task == "speech":
        if context:
            raise _wrong("context_length", "a model for speech has none")
        return 0
    most = entry.dedicated.context if entry.dedicated and entry.dedicated.context else entry.context
    usual = min(entry.context, most)
    return _within("context_length", usual if context is None else context, LEAST_CONTEXT, most)


def checked_load(entry: Entry, engine: str, load: int | None) -> int:
    """How many requests a replica serves together. Raises `InvalidRequest`."""
    most = entry.most_load(engine)
    return _within("load", min(most, entry.slots_of(engine)) if load is None else load, 1, most)


def checked_replicas(replicas: int) -> int:
    """Raises `InvalidRequest`."""
    return _within("replicas", replicas, 1, REPLICAS)


def checked_end(entry: Entry, begins_at: int, ends_at: int | None) -> int | None:
    """When an instance ends. Raises `InvalidRequest` for an end that is too early, or beyond its model's."""
    if ends_at is not None and ends_at <= begins_at:
        raise _wrong("ends_at", "it must be after the instance begins, and not past")
    if entry.shutdown is not None:
        last = int(datetime.combine(entry.shutdown, time(), UTC).timestamp())
        if ends_at is None or ends_at > last:
            text = f"'{entry.id}' is shut down on {entry.shutdown}: say an end until then (at most {last})"
            raise _wrong("ends_at", text)
    return ends_at


def _within(param: str, value: int, least: int, most: int) -> int:
    if not least <= value <= most:
        raise _wrong(param, f"it must be between {least} and {most} for this model")
    return value


def _wrong(param: str, text: str) -> InvalidRequest:
    return InvalidRequest(f"Invalid value for '{param}': {text}.", param=param, code="invalid_value")

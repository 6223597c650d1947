"""What is told of models: what each name means today and next, its dates, its price."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Protocol

import msgspec

from antiphon.catalogue.catalogue import Catalogue, Meaning
from antiphon.catalogue.entries import Entry
from antiphon.values import Price, Task
from antiphon.wire.models import Model


class Names(Protocol):
    """What answers of the API ask of a catalogue."""

    def resolve(self, model: str, organization: str = "") -> Entry:
        """The snapshot behind an alias or a snapshot's own id, for an organization, which may have instances.

        Raises `ModelNotFound`.
        """

    def elsewhere(self, organization: str, snapshot: str) -> str:
        """The host that alone serves a snapshot to an organization, if it is another; empty if none is."""

    def models(self, organization: str = "") -> list[Model]:
        """Every name that `resolve` knows, as `GET /v1/models` lists them."""

    def listing(self) -> list[Listing]:
        """The same for people."""


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """One name that clients may ask for."""

    name: str
    task: Task
    means: str | None
    """Of an alias, the snapshot that it is taken for now."""
    stand_in: bool = False
    changes: tuple[Meaning, ...] = ()
    """What an alias has come to mean, and will: the latest first."""
    context: int
    price: Price | None
    """Today's; None if it is free."""
    licence: str
    released: date
    deprecated: date | None
    shutdown: date | None
    replacement: str


def listing(catalogue: Catalogue, means: Mapping[str, str]) -> list[Listing]:
    """Every name that is served, aliases first; the snapshots that aliases will mean, and that have ended."""
    aliases = [
        msgspec.structs.replace(
            _snapshot(catalogue, name, means[name]),
            means=means[name],
            stand_in=alias.stand_in,
            changes=tuple(sorted(_changes(catalogue, name), key=lambda change: -change.since)),
        )
        for name, alias in catalogue.aliases.items()
        if means.get(name) in catalogue.served
    ]
    coming = {meaning.snapshot for name in catalogue.aliases for meaning in catalogue.coming(name)}
    shown = catalogue.served | ((catalogue.ended | coming) & catalogue.installed)
    return aliases + [_snapshot(catalogue, id, id) for id in catalogue.entries if id in shown]


def _changes(catalogue: Catalogue, alias: str) -> list[Meaning]:
    """Those of an alias that were or are announced; what it means without any is no change."""
    return [change for change in (*catalogue.past(alias), *catalogue.coming(alias)) if change.since]


def _snapshot(catalogue: Catalogue, name: str, id: str) -> Listing:
    entry = catalogue.entries[id]
    return Listing(
        name=name,
        task=entry.task,
        means=None,
        context=entry.context,
        price=next((price for price in reversed(entry.prices) if price.since <= catalogue.today), None),
        licence=entry.licence,
        released=entry.released,
        deprecated=entry.deprecated,
        shutdown=entry.shutdown,
        replacement=entry.replacement,
    )

"""What there is to tell of names and snapshots: what is announced, is near, has happened. Plain functions."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time
from itertools import pairwise
from typing import Literal

import msgspec

from antiphon.catalogue.catalogue import Catalogue, Meaning

DAY = 86_400
LATE_SECONDS = 3 * DAY
"""What happened longer ago is not told any more."""

Event = Literal["announced", "near", "happened", "cancelled"]
Matter = Literal["model.switch", "model.end"]


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to tell. Times in unix seconds."""

    matter: Matter
    event: Event
    name: str
    """The alias that is switched, or the snapshot that ends."""
    snapshot: str
    """Whose users are to know: what the alias means before, or what ends."""
    to: str
    """What to expect instead; empty if there is nothing."""
    at: int
    notes: str = ""

    @property
    def type(self) -> str:
        """What the receiver calls it."""
        return f"{self.matter}.{self.event}"

    @property
    def key(self) -> str:
        """The same for the same thing, whoever comes to tell it."""
        return "/".join((self.type, self.name, self.to, str(self.at)))


def notices(catalogue: Catalogue, days: int, now: int) -> list[Notice]:
    """What may be told of a catalogue at a moment (unix seconds), which may be long after it was made.

    A change is near from so many days before it on.
    """
    return [
        msgspec.structs.replace(one, event=event)
        for one in (*_switches(catalogue), *_ends(catalogue))
        for event in _events(one.at - now, days)
    ]


def _events(until: int, days: int) -> tuple[Event, ...]:
    """What is to be told of a change so many seconds before it, or after it where they are negative."""
    if until > days * DAY:
        return ("announced",)
    if until > 0:
        return ("announced", "near")
    return ("happened",) if until > -LATE_SECONDS else ()


def _switches(catalogue: Catalogue) -> Iterator[Notice]:
    for alias in catalogue.aliases:
        for before, change in pairwise([*catalogue.past(alias), *catalogue.coming(alias)]):
            if before.snapshot != change.snapshot:
                yield _switch(alias, before, change)


def _switch(alias: str, before: Meaning, change: Meaning) -> Notice:
    return Notice(
        matter="model.switch",
        event="announced",
        name=alias,
        snapshot=before.snapshot,
        to=change.snapshot,
        at=change.since,
        notes=change.notes,
    )


def _ends(catalogue: Catalogue) -> Iterator[Notice]:
    for id, entry in catalogue.entries.items():
        if entry.shutdown and id in catalogue.installed:
            at = int(datetime.combine(entry.shutdown, time(), UTC).timestamp())
            yield Notice(
                matter="model.end", event="announced", name=id, snapshot=id, to=entry.replacement, at=at
            )

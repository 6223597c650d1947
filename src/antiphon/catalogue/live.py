"""The catalogue of a server that runs: it follows the clock, models.toml, and what operators change.

An alias that comes to mean another snapshot is taken for the old one until the new one would serve a request:
a switchover costs nobody an answer.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from antiphon.catalogue.catalogue import Catalogue, at
from antiphon.catalogue.changes import Changed, Changes
from antiphon.catalogue.document import FILE_NAME, Document, document, read
from antiphon.catalogue.entries import Entry
from antiphon.catalogue.listing import Listing, listing
from antiphon.catalogue.store import ModelStore
from antiphon.errors import AntiphonError, ConfigurationError
from antiphon.settings import Settings
from antiphon.values import Deployment
from antiphon.wire.models import Model

_LOOK = 1.0
"""Seconds between two looks at whether anything is another."""

log = logging.getLogger("antiphon.catalogue")


class LiveCatalogue:
    """Knows the catalogue of this moment. Whoever needs to know of another one is told by `follow`.

    `follow` is given every deployment that is to run; `serves` says whether a request for a snapshot would be
    served now, `broken` whether its engines end again and again. `clock` gives unix seconds.
    """

    def __init__(
        self,
        settings: Settings,
        changes: Changes,
        follow: Callable[[Iterable[Deployment]], None],
        serves: Callable[[str], bool],
        broken: Callable[[str], bool],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._store = ModelStore(settings.home_path)
        self._changes = changes
        self._follow = follow
        self._serves = serves
        self._broken = broken
        self._clock = clock
        self._file: tuple[int, int] | None = None
        self._document = Document({}, {})
        self._changed: Changed = ((), (), ())
        self._complaint = ""
        self.catalogue = Catalogue({}, {}, frozenset(), 0)
        self.means: Mapping[str, str] = {}
        """What each alias is taken for."""
        self._held: Mapping[str, str] = {}
        """The same, of those only for which that has once served."""
        self._kept: frozenset[str] = frozenset()
        """What aliases were taken for when it was last decided which engines run all the time."""

    def resolve(self, model: str, organization: str = "") -> Entry:
        """The snapshot behind a name, for who asks for it. Raises `ModelNotFound`."""
        return self.catalogue.resolve(model, self.means.get(model), organization)

    def elsewhere(self, organization: str, snapshot: str) -> str:
        """The host that alone serves a snapshot to an organization, if it is another; empty if none is."""
        return self.catalogue.elsewhere(organization, snapshot, self._settings.server)

    def entry(self, id: str) -> Entry:
        """A snapshot by its id; `KeyError` for one that is not in the catalogue."""
        return self.catalogue.entries[id]

    def models(self, organization: str = "") -> list[Model]:
        """Every name that `resolve` knows, for who asks."""
        return self.catalogue.models(self.means, organization)

    def listing(self) -> list[Listing]:
        """The same for people."""
        return listing(self.catalogue, self.means)

    async def start(self) -> None:
        """Take the catalogue as it is. Raises `ConfigurationError`, naming the line, or `Unavailable`."""
        home = self._settings.home_path
        mark = await asyncio.to_thread(_mark, home / FILE_NAME)
        found = await asyncio.to_thread(_document, home)
        await self._renew(found, await self._changes.all())
        self._file = mark

    async def run(self) -> None:
        """Follow until cancelled. What is wrong is logged once, and what was right before stays in force."""
        while True:
            await asyncio.sleep(_LOOK)
            try:
                await self.look()
                self._complaint = ""
            except AntiphonError as problem:
                said = f"{problem.message} {getattr(problem, 'fix', '')}"
                if said != self._complaint:
                    self._complaint = said
                    log.error("the catalogue stays as it was: %s", said)

    async def look(self) -> None:
        """Take the catalogue as it is now, if it is another one. Raises as `start` does.

        What cannot be taken is tried again at the next look. A file that is wrong stands in nobody's way: all
        else is followed with what the file said before.
        """
        changed = await self._changes.all()
        mark = await asyncio.to_thread(_mark, self._settings.home_path / FILE_NAME)
        self.take()
        due = changed != self._changed or await self._due()
        if mark != self._file:
            try:
                found = await asyncio.to_thread(_document, self._settings.home_path)
                await self._renew(found, changed)
            except ConfigurationError:
                if due:
                    await self._renew(self._document, changed)
                raise
            self._file = mark
        elif due:
            await self._renew(self._document, changed)
        self.take()

    def take(self) -> None:
        """Take each alias for what it means, as soon as that would serve. Called when an engine is ready."""
        means = self._takings(self.catalogue)
        for name, taken in means.items():
            if taken != self.means.get(name, self.catalogue.meaning(name)):
                log.info("%s means %s now", name, taken)
        self.means = means
        self._held = {
            name: taken
            for name, taken in means.items()
            if self._held.get(name) == taken or self._serves(taken)
        }

    async def _due(self) -> bool:
        """Whether it is time for another catalogue, or for another choice of what runs all the time."""
        moment = self.catalogue.next_moment()
        if moment is not None and self._clock() >= moment:
            return True
        if frozenset(self.means.values()) != self._kept:
            return True
        return await asyncio.to_thread(self._installed) != self.catalogue.installed

    async def _renew(self, found: Document, changed: Changed) -> None:
        """Follow this; if it cannot be, everything stays as it was, and it raises `ConfigurationError`."""
        catalogue = await asyncio.to_thread(at, found, self._store, self._clock(), *changed)
        kept = frozenset(self._takings(catalogue).values())
        deployments = await asyncio.to_thread(catalogue.deployments, self._store, self._settings, kept)
        self._follow(deployments)
        self._document, self._changed, self.catalogue, self._kept = found, changed, catalogue, kept
        self.take()

    def _installed(self) -> frozenset[str]:
        entries = self.catalogue.entries.values()
        return frozenset(entry.id for entry in entries if self._store.installed(entry))

    def _takings(self, catalogue: Catalogue) -> dict[str, str]:
        return {name: self._taken(catalogue, name) for name in catalogue.aliases}

    def _taken(self, catalogue: Catalogue, alias: str) -> str:
        """What it means if that would serve; else what it has been taken for, while that is there.

        Where it has been taken for nothing yet, since this process has just begun, what it meant before takes
        the place of what cannot serve: at once if that serves now, else it is started.
        """
        meant, held = catalogue.meaning(alias), self._held.get(alias)
        if self._serves(meant):
            return meant
        if held in catalogue.served:
            return held
        if meant in catalogue.ended:
            return meant  # on its day it means nothing any more
        past = [meaning.snapshot for meaning in reversed(catalogue.past(alias))]
        before = [snapshot for snapshot in past if snapshot in catalogue.served - {meant}]
        if serving := next(filter(self._serves, before), None):
            return serving
        hopeless = meant not in catalogue.served or self._broken(meant)
        return before[0] if before and hopeless else meant


async def changed(home: Path, changes: Changes) -> Catalogue:
    """The catalogue of this moment, as a server with these changes has it. Raises `ConfigurationError`."""
    made = await changes.all()
    return await asyncio.to_thread(lambda: at(_document(home), ModelStore(home), None, *made))


def _document(home: Path) -> Document:
    path = home / FILE_NAME
    return document(path, read(path))


def _mark(path: Path) -> tuple[int, int] | None:
    """Another one whenever the file is another."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    except OSError as problem:
        raise ConfigurationError(f"{path} cannot be read: {problem.strerror}") from None
    return found.st_mtime_ns, found.st_size

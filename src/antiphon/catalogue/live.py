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
    served now. `clock` gives unix seconds.
    """

    def __init__(
        self,
        settings: Settings,
        changes: Changes,
        follow: Callable[[Iterable[Deployment]], None],
        serves: Callable[[str], bool],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._store = ModelStore(settings.home_path)
        self._changes = changes
        self._follow = follow
        self._serves = serves
        self._clock = clock
        self._file: tuple[int, int] | None = None
        self._document = Document({}, {})
        self._changed: Changed = ((), (), ())
        self._complaint = ""
        self.catalogue = Catalogue({}, {}, frozenset(), 0)
        self.means: Mapping[str, str] = {}
        """What each alias is taken for."""

    def resolve(self, model: str, organization: str = "") -> Entry:
        """The snapshot behind a name, for who asks for it. Raises `ModelNotFound`."""
        return self.catalogue.resolve(model, self.means.get(model), organization)

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
        self._file = await asyncio.to_thread(_mark, self._settings.home_path / FILE_NAME)
        self._document = await asyncio.to_thread(_document, self._settings.home_path)
        self._changed = await self._changes.all()
        await self._renew()

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
        """Take the catalogue as it is now, if it is another one. Raises as `start` does."""
        changed = await self._changes.all()
        file = await asyncio.to_thread(_mark, self._settings.home_path / FILE_NAME)
        moment = self.catalogue.next_moment()
        due = moment is not None and self._clock() >= moment
        if file != self._file:
            self._file = file
            self._document = await asyncio.to_thread(_document, self._settings.home_path)
            due = True
        elif await asyncio.to_thread(self._installed) != self.catalogue.installed:
            due = True
        if due or changed != self._changed:
            self._changed = changed
            await self._renew()
        self.take()

    def take(self) -> None:
        """Take each alias for what it means, as soon as that would serve. Called when an engine is ready."""
        self.means = {name: self._taken(name) for name in self.catalogue.aliases}

    async def _renew(self) -> None:
        catalogue, deployments = await asyncio.to_thread(self._read)
        self._follow(deployments)
        self.catalogue = catalogue
        self.take()

    def _installed(self) -> frozenset[str]:
        entries = self.catalogue.entries.values()
        return frozenset(entry.id for entry in entries if self._store.installed(entry))

    def _read(self) -> tuple[Catalogue, list[Deployment]]:
        catalogue = at(self._document, self._store, self._clock(), *self._changed)
        return catalogue, catalogue.deployments(self._store, self._settings)

    def _taken(self, alias: str) -> str:
        meant, taken = self.catalogue.meaning(alias), self.means.get(alias)
        if taken is None or taken == meant or taken not in self.catalogue.served:
            return meant
        if not self._serves(meant):
            return taken
        log.info("%s means %s now", alias, meant)
        return meant


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

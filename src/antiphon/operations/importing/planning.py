"""From a configuration of LiteLLM to a plan, beside what models.toml says already."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from antiphon.catalogue.entries import AliasName
from antiphon.engines import remote
from antiphon.operations.importing.deployments import Pulled, Secret, Served, Unserved, read
from antiphon.operations.importing.plan import Fate, Key, Line, Plan, Upstream
from antiphon.operations.importing.reading import Config, Group
from antiphon.operations.importing.remarks import REMARKS, UNKNOWN

KEYS_FOLDER = "upstream-keys"
"""Inside the data folder: where the keys lie that upstreams are shown."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a configuration is to be taken over to. `written` is what models.toml says, as TOML is read."""

    home: Path
    written: Mapping[str, Any]
    shipped_names: Collection[str]
    """Aliases that ship with Antiphon."""
    snapshots: Collection[str]
    """The ids of every snapshot of the catalogue."""
    upstreams: str
    """The setting."""
    today: date
    context: int
    """Tokens that a chat model's context is taken to have, where nothing tells."""


def plan(config: Config, name: str, environment: Mapping[str, str], place: Place) -> Plan:
    """What becomes of `config`, which is read from a file called `name`. Writes nothing.

    `environment` has the variables that it may name. Raises `ConfigurationError` for one that is missing and
    whose value is needed.
    """
    return _Planning(config, name, environment, place).plan()


class _Planning:
    def __init__(self, config: Config, name: str, environment: Mapping[str, str], place: Place) -> None:
        self._config, self._name, self._place = config, name, place
        self._said = {key: str(value) for key, value in config.environment_variables.items()}
        self._environment = {**environment, **self._said}
        self._models: dict[int, Line] = {}
        """By the position in `model_list`."""
        self._lines: list[Line] = []
        self._new: dict[str, Upstream] = {}
        self._aliases: dict[str, str] = {}
        self._meant: dict[str, str] = {}
        """What each name of `model_list` means, new or not."""
        self._keys: dict[Secret, Key] = {}
        self._used: set[str] = set()
        """Snapshots of models.toml that are taken for one of the configuration's."""
        self._ids: dict[tuple[Any, ...], str] = {}
        self._origins: dict[str, None] = {}
        self._pulls: dict[str, None] = {}
        self._guesses: list[str] = []

    def plan(self) -> Plan:
        groups: dict[str, list[tuple[int, Served]]] = {}
        for position, deployment in enumerate(self._config.model_list):
            found = read(self._config, position, self._environment, self._name)
            if isinstance(found, Unserved):
                self._tell_model(position, "none", found.reason)
            elif not _is_name(deployment.model_name):
                self._tell_model(position, "none", "it cannot be a name of a model here")
            elif isinstance(found, Pulled):
                self._pull(position, deployment.model_name, found)
            else:
                groups.setdefault(deployment.model_name, []).append((position, found))
        for model_name, members in groups.items():
            self._group(model_name, members)
        for alias, group in (self._config.router_settings.model_group_alias or {}).items():
            self._group_alias(alias, group.model if isinstance(group, Group) else group)
        self._leftovers()
        return Plan(
            lines=(*(self._models[position] for position in sorted(self._models)), *self._lines),
            snapshots=tuple(self._new.values()),
            aliases=self._aliases,
            keys=tuple(self._keys.values()),
            origins=tuple(self._origins),
            pulls=tuple(self._pulls),
            guesses=tuple(self._guesses),
        )

    def _tell(self, place: str, name: str, fate: Fate, text: str) -> None:
        self._lines.append(Line(place=place, name=name, fate=fate, text=text))

    def _tell_model(self, position: int, fate: Fate, text: str) -> None:
        name = self._config.model_list[position].model_name
        self._models[position] = Line(place=f"model_list[{position}]", name=name, fate=fate, text=text)

    def _pull(self, position: int, name: str, found: Pulled) -> None:
        if name in self._place.written.get("aliases", {}) or name in self._place.snapshots:
            self._tell_model(position, "there already", "it is the name of a model in models.toml")
            return
        self._pulls[found.command] = None
        self._tell_model(position, "to pull", "served on this machine, once it is pulled")

    def _group(self, model_name: str, members: list[tuple[int, Served]]) -> None:
        """The deployments of one name: those that serve the same are one snapshot, and the first is meant."""
        alike: dict[tuple[Any, ...], list[tuple[int, Served]]] = {}
        for position, served in members:
            apart = served.url if served.task == "speech" else ""  # which is served at one URL
            alike.setdefault((served.task, served.model, served.secret, apart), []).append((position, served))
        ids = [self._snapshot(same) for same in alike.values()]
        self._meant[model_name] = ids[0]
        fate, text = self._alias(model_name, ids[0])
        for id, same in zip(ids, alike.values(), strict=True):
            for position, served in same:
                told = [text if id == ids[0] else f"served as {id}; the name means {ids[0]} alone"]
                self._tell_model(
                    position,
                    fate if id == ids[0] else "added" if id in self._new else "there already",
                    "; ".join([*told, *served.remarks]),
                )

    def _snapshot(self, members: list[tuple[int, Served]]) -> str:
        """The id of the snapshot of deployments that serve the same, which is new unless it is written."""
        first = _together([served for _, served in members])
        urls = tuple(dict.fromkeys(served.url for _, served in members))
        known = (first.task, urls, first.model, first.secret)
        if known not in self._ids:
            key = self._key(first.secret, [position for position, _ in members], first.url)
            written = self._written(first.task, urls, first.model, "" if key is None else key.file)
            self._ids[known] = written or self._added(first, urls, key)
            allowed = _origins(self._place.upstreams.split())
            self._origins |= dict.fromkeys(one for one in _origins(urls) if one not in allowed)
        return self._ids[known]

    def _added(self, served: Served, urls: tuple[str, ...], key: Key | None) -> str:
        id = self._free_id(served)
        if served.task == "chat" and not served.context:
            self._guesses.append(f"{id}: its context is taken to be {self._place.context:,} tokens")
        if not served.price:
            self._guesses.append(f"{id}: it costs its users nothing, for no price is written")
        self._new[id] = Upstream(
            id=id,
            task=served.task,
            urls=urls,
            model=served.model,
            key_file="" if key is None else key.file,
            owned_by=served.owned_by,
            released=self._place.today,
            context=0 if served.task == "speech" else served.context or self._place.context,
            slots=served.slots,
            price=served.price,
        )
        return id

    def _written(self, task: str, urls: tuple[str, ...], model: str, key_file: str) -> str:
        """The snapshot of models.toml that is the same model at the same place; empty if none is.

        Whoever put its key elsewhere still has it, unless there are several of that kind.
        """
        same = []
        for id, fields in self._place.written.get("snapshots", {}).items():
            source = fields.get("source", {}) if isinstance(fields, dict) else {}
            url = source.get("url", ())
            there = (fields.get("task"), {url} if isinstance(url, str) else set(url)) if source else None
            if there == (task, set(urls)) and source.get("model", id) == model and id not in self._used:
                same.append((source.get("key_file", "") != key_file, id))
        if not same:
            return ""
        found = min(same)[1]
        self._used.add(found)
        return str(found)

    def _free_id(self, served: Served) -> str:
        """A new id: the model and where it is."""
        parts = urlsplit(served.url)
        at = f"{parts.hostname}-{parts.port}" if parts.port else str(parts.hostname)
        base = _slug(f"{served.model.rpartition('/')[2]}-at-{at}")[:120]
        number, id = 1, base
        while id in self._new or id in self._place.snapshots:
            number += 1
            id = f"{base}-{number}"
        return id

    def _key(self, secret: Secret | None, positions: Iterable[int], url: str) -> Key | None:
        if secret is None:
            return None
        variable = secret.variable
        places = tuple(f"model_list[{position}].litellm_params.api_key" for position in positions)
        if variable in self._said:  # in the configuration, though not in the same place
            variable, places = "", (f"environment_variables.{variable}",)
        if known := self._keys.get(secret):
            self._keys[secret] = msgspec.structs.replace(known, places=known.places + places)
        else:
            self._keys[secret] = Key(
                variable=variable,
                places=places,
                known=not variable or variable in self._environment,
                file=self._key_file(secret.variable or str(urlsplit(url).hostname)),
            )
        return self._keys[secret]

    def _key_file(self, name: str) -> str:
        """Where a key is to lie that no other has. Nothing of a key is in its name."""
        taken = {key.file for key in self._keys.values()}
        base = str(self._place.home / KEYS_FOLDER / _slug(name))
        number, file = 1, base
        while file in taken:
            number += 1
            file = f"{base}-{number}"
        return file

    def _alias(self, name: str, id: str) -> tuple[Fate, str]:
        """Have a name mean a snapshot, unless it means something already."""
        written = self._place.written.get("aliases", {})
        if name in written:
            fields = written[name]
            means = fields.get("snapshot") if isinstance(fields, dict) else None
            if means == id:
                return "there already", f"means {id}"
            what = f"means {means}" if means else "is taken away"
            return "conflict", f"{what} in models.toml, and stays so; `antiphon models switch {name} {id}`"
        if name in self._place.snapshots or name in self._new:
            return "conflict", f"is the id of a snapshot, and stays so; {id} is served under its own"
        if name in self._aliases and self._aliases[name] != id:
            return "conflict", f"means {self._aliases[name]} by what stands before"
        self._aliases[name] = id
        bundled = ", in place of the bundled model" if name in self._place.shipped_names else ""
        return "added", f"means {id}{bundled}"

    def _group_alias(self, alias: str, group: str) -> None:
        where = "router_settings.model_group_alias"
        if group not in self._meant:
            self._tell(where, alias, "none", f"'{group}' is not taken over, and so its alias is not")
        elif not _is_name(alias):
            self._tell(where, alias, "none", "it cannot be a name of a model here")
        else:
            fate, text = self._alias(alias, self._meant[group])
            self._tell(where, alias, fate, text)

    def _leftovers(self) -> None:
        for section, entry, _ in self._config.leftovers():
            if entry != "model_group_alias":
                self._tell(section, entry, "none", REMARKS.get(entry or section, UNKNOWN))


def _together(alike: list[Served]) -> Served:
    """The first of several that serve the same, with what it does not tell and another does."""
    return msgspec.structs.replace(
        alike[0],
        context=next((one.context for one in alike if one.context), None),
        price=next((one.price for one in alike if one.price), {}),
    )


def _is_name(text: str) -> bool:
    try:
        msgspec.convert(text, AliasName)
    except msgspec.ValidationError:
        return False
    return True


def _origins(urls: Iterable[str]) -> dict[str, None]:
    return dict.fromkeys(map(remote.origin, urls))


def _slug(text: str) -> str:
    """A text as it may be a snapshot's id, or the name of a file."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.") or "model"

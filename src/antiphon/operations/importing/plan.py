"""A plan: what becomes of each entry of a configuration, what is written, and what people have to do."""

from __future__ import annotations

from datetime import date
from typing import Any, Literal

import msgspec

from antiphon.values import Task

Fate = Literal["added", "there already", "conflict", "to pull", "none"]


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """The key that is shown to an upstream: where it comes from, and where it has to lie. Not the key."""

    variable: str = ""
    """The environment variable that holds it; empty if it is written in the configuration."""
    places: tuple[str, ...] = ()
    """Where the configuration says it."""
    known: bool = True
    """Whether the variable is set where this was planned."""
    file: str


class Upstream(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot that others serve, as models.toml is to say it."""

    id: str
    task: Task
    urls: tuple[str, ...]
    model: str
    key_file: str = ""
    owned_by: str
    released: date
    context: int = 0
    slots: int
    price: dict[str, str] = {}
    """Dollars, as models.toml writes them; empty if it is free."""

    def fields(self) -> dict[str, Any]:
        """The table in models.toml."""
        url: str | list[str] = self.urls[0] if len(self.urls) == 1 else list(self.urls)
        source = {"kind": "upstream", "url": url, "model": self.model}
        fields: dict[str, Any] = {
            "task": self.task,
            "engine": "openai" if self.task == "chat" else "openai_speech",
            "owned_by": self.owned_by,
            "licence": "unknown",
            "released": self.released,
        }
        if self.task == "chat":
            fields["context"] = self.context
        fields |= {"slots": self.slots, "serve": True}
        if self.price:
            fields["prices"] = [{"since": self.released} | self.price]
        return fields | {"source": source | ({"key_file": self.key_file} if self.key_file else {})}


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of one entry: its place in the configuration, its name there, and why."""

    place: str
    name: str
    fate: Fate
    text: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. What is in `snapshots` and `aliases` is not in models.toml yet."""

    lines: tuple[Line, ...]
    snapshots: tuple[Upstream, ...] = ()
    aliases: dict[str, str] = {}
    """What each new name means."""
    keys: tuple[Key, ...] = ()
    """Of snapshots that are new, or there already."""
    origins: tuple[str, ...] = ()
    """Servers that the setting `upstreams` does not allow yet."""
    pulls: tuple[str, ...] = ()
    """Commands that bring models to this machine."""
    guesses: tuple[str, ...] = ()
    """What had to be assumed of the new snapshots, and is best looked at."""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to write."""
        return not self.snapshots and not self.aliases

    def tables(self) -> list[tuple[str, dict[str, Any]]]:
        """What models.toml is to have besides: the heading of each table, and its fields."""
        found = [("snapshots", one.id, one.fields()) for one in self.snapshots]
        found += [("aliases", name, {"snapshot": id}) for name, id in self.aliases.items()]
        return [
            (f"[{section}.{msgspec.json.encode(name).decode()}]", fields) for section, name, fields in found
        ]

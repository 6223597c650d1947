"""models.toml as values: the shipped file with the operator's laid over it, whose errors name the line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from antiphon.catalogue import prices
from antiphon.catalogue.entries import Alias, AliasName, Entry, SnapshotId
from antiphon.catalogue.lines import Step, line_of
from antiphon.errors import ConfigurationError
from antiphon.values import Price

FILE_NAME = "models.toml"
FIX = "mend the file; ids that contain a dot stand in quotes"
_SECTIONS = ("snapshots", "aliases")
_INDEX = re.compile(r"\[(\d+)\]")

T = TypeVar("T")


class Document(msgspec.Struct, frozen=True):
    """Every snapshot and alias, by name."""

    snapshots: Mapping[str, Entry]
    aliases: Mapping[str, Alias]


class Wrong(Exception):
    """What is wrong, and where."""

    def __init__(self, path: tuple[Step, ...], text: str) -> None:
        super().__init__(text)
        self.path = path


def read(path: Path) -> str:
    """The operator's text; empty without a file. Raises `ConfigurationError`."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigurationError(f"{path} cannot be read: {problem}", fix=FIX) from None


def parsed(path: Path, text: str) -> dict[str, Any]:
    """A text of TOML. Raises `ConfigurationError`, which names the line."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise ConfigurationError(f"{path} cannot be read: {problem}", fix=FIX) from None


def document(path: Path, text: str) -> Document:
    """The shipped document with the operator's text, read from `path`, laid over it.

    Raises `ConfigurationError`, which names the file, the line and the field.
    """
    operators = parsed(path, text)
    try:
        return laid_over(operators)
    except Wrong as wrong:
        line = line_of(text, wrong.path)
        where = f"{path}, line {line}" if line else str(path)
        raise ConfigurationError(f"{where}: {wrong}", fix=FIX) from None


def laid_over(operators: Mapping[str, Any]) -> Document:
    """The shipped document with the operator's laid over it. Raises `Wrong`."""
    shipped = tomllib.loads((files(__package__) / FILE_NAME).read_text(encoding="utf-8"))
    for name in operators:
        if name not in _SECTIONS:
            raise Wrong((name,), f"Object contains unknown field `{name}`")
        if not isinstance(operators[name], dict):
            raise Wrong((name,), f"Expected `object`, got `{_kind(operators[name])}` - at `$.{name}`")
    found = Document(
        dict(_entries(shipped["snapshots"], operators.get("snapshots", {}))),
        dict(_aliases(shipped["aliases"] | operators.get("aliases", {}))),
    )
    for name, alias in found.aliases.items():
        if name in found.snapshots:
            raise Wrong(("aliases", name), f"'{name}' is both an alias and a snapshot")
        for place, snapshot in alias.meant():
            if snapshot not in found.snapshots:
                text = f"'{name}' points to '{snapshot}', which is no snapshot"
                raise Wrong(("aliases", name, *place), text)
    for id, entry in found.snapshots.items():
        if entry.replacement and entry.replacement not in {*found.snapshots, *found.aliases}:
            text = f"'{id}' names '{entry.replacement}' as its replacement, which is no model"
            raise Wrong(("snapshots", id, "replacement"), text)
    return found


def _entries(shipped: Mapping[str, Any], operators: Mapping[str, Any]) -> Iterator[tuple[str, Entry]]:
    """Snapshots are overridden field by field, so that one line can change one."""
    for id in {**shipped, **operators}:
        own = operators.get(id, {})
        if not isinstance(own, dict):
            raise Wrong(("snapshots", id), f"Expected `object`, got `{_kind(own)}` - at `$.snapshots.{id}`")
        path = ("snapshots", id)
        fields = {**shipped.get(id, {}), **own, "id": _converted(path, id, SnapshotId)}
        if "prices" in fields:
            fields["prices"] = _prices(path, fields["prices"])
        yield id, _converted(path, fields, Entry)


def _aliases(given: Mapping[str, Any]) -> Iterator[tuple[str, Alias]]:
    """Aliases are overridden as a whole; one that is `false` is not there."""
    for name, fields in given.items():
        if fields is False:
            continue
        path = ("aliases", name)
        yield _converted(path, name, AliasName), _converted(path, fields, Alias)


def _prices(path: tuple[Step, ...], lines: Any) -> tuple[Price, ...]:
    """Prices as values: in the file they are texts."""
    try:
        return prices.read(lines)
    except msgspec.ValidationError as problem:
        raise _wrong((*path, "prices"), problem) from None


def _converted(path: tuple[Step, ...], value: Any, kind: type[T]) -> T:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as problem:
        raise _wrong(path, problem) from None


def _wrong(path: tuple[Step, ...], problem: msgspec.ValidationError) -> Wrong:
    """What msgspec says, with the whole path to it: of that it knows the end, as in "- at `$.files[0]`"."""
    text, _, inside = str(problem).partition(" - at `$")
    steps = _steps(inside.rstrip("`"))
    if unknown := re.search(r"unknown field `(.+)`", text):
        steps += (unknown[1],)
    shown = ".".join(str(step) for step in (*path, *steps))
    return Wrong((*path, *steps), f"{text} - at `{shown}`")


def _steps(inside: str) -> tuple[Step, ...]:
    """The steps of a path such as `.files[0].name`; what stands behind a key that is not told is left out."""
    steps: list[Step] = []
    for part in inside.split("."):
        name = part.partition("[")[0]
        if name:
            steps.append(name)
        if "[...]" in part:
            break
        steps += [int(index) for index in _INDEX.findall(part)]
    return tuple(steps)


def _kind(value: Any) -> str:
    return {str: "str", int: "int", list: "array", bool: "bool", float: "float"}.get(type(value), "object")

"""Several JSON schemas that all hold, as one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from antiphon.grammar.problems import Unsupported

Schema = Mapping[str, Any]

ANNOTATIONS = frozenset(
    "title description default examples $schema $id $comment deprecated readOnly writeOnly $defs definitions "
    "contentEncoding contentMediaType".split()
)
_LARGEST = {"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"}
_SMALLEST = {"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"}


def merged(one: Schema, other: Schema) -> dict[str, Any]:
    """What both say. Raises `Unsupported` where that cannot be told as one schema."""
    found = dict(one)
    for key, value in other.items():
        if key in ANNOTATIONS or key not in found or found[key] == value:
            found.setdefault(key, value)
        elif key in _LARGEST:
            found[key] = max(found[key], value)
        elif key in _SMALLEST:
            found[key] = min(found[key], value)
        elif key in _TOGETHER:
            found[key] = _TOGETHER[key](found[key], value)
        else:
            raise Unsupported(f"'{key}' is said twice")
    return found


def _properties(one: Schema, other: Schema) -> dict[str, Any]:
    found = dict(one)
    for name, schema in other.items():
        found[name] = both(found[name], schema) if name in found else schema
    return found


def both(one: Any, other: Any) -> Any:
    """As `merged`, of schemas that may also be true or false."""
    if one is True or other is False:
        return other
    if other is True or one is False:
        return one
    return merged(one, other)


def _types(one: Any, other: Any) -> list[str]:
    names = [name for name in _listed(one) if name in _listed(other)]
    if "integer" in _listed(one) + _listed(other) and "number" in _listed(one) + _listed(other):
        names.append("integer")
    return list(dict.fromkeys(names))


def _listed(types: Any) -> list[str]:
    return [types] if isinstance(types, str) else list(types)


_TOGETHER: dict[str, Callable[[Any, Any], Any]] = {
    "properties": _properties,
    "required": lambda one, other: list(dict.fromkeys([*one, *other])),
    "enum": lambda one, other: [value for value in one if value in other],
    "type": _types,
    "items": both,
    "additionalProperties": both,
    "allOf": lambda one, other: [*one, *other],
}

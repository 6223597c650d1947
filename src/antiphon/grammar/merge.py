"""Several JSON schemas that all hold, as one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from antiphon.grammar.problems import InvalidSchema, Unsupported

Schema = Mapping[str, Any]

ANNOTATIONS = frozenset(
    "title description default examples $schema $id $comment deprecated readOnly writeOnly $defs definitions "
    "contentEncoding contentMediaType".split()
)
_LARGEST = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_SMALLEST = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")


def merged(one: Schema, other: Schema) -> dict[str, Any]:
    """What both say. Raises `InvalidSchema`, and `Unsupported` where that cannot be told as one schema."""
    found = dict(one)
    for key, value in other.items():
        if key in ANNOTATIONS or key not in found or found[key] == value:
            found.setdefault(key, value)
        elif key in _TOGETHER:
            kinds, together = _TOGETHER[key]
            if not isinstance(found[key], kinds) or not isinstance(value, kinds):
                raise InvalidSchema(f"'{key}' is not what it should be")
            found[key] = together(found[key], value)
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
    if not isinstance(one, dict) or not isinstance(other, dict):
        raise InvalidSchema("a part of it is neither an object nor true or false")
    return merged(one, other)


def _types(one: str | Sequence[Any], other: str | Sequence[Any]) -> list[Any]:
    first, second = ([types] if isinstance(types, str) else types for types in (one, other))
    names = [name for name in first if name in second]
    whole = ("integer" in first and "number" in second) or ("number" in first and "integer" in second)
    return [*names, "integer"] if whole else names


def _values(one: Sequence[Any], other: Sequence[Any]) -> list[Any]:
    """Those in both; as JSON, in which true is not 1."""
    known = set(map(json.dumps, other))
    return [value for value in one if json.dumps(value) in known]


_TOGETHER: dict[str, tuple[type | tuple[type, ...], Callable[[Any, Any], Any]]] = {
    **{key: ((int, float), max) for key in _LARGEST},
    **{key: ((int, float), min) for key in _SMALLEST},
    "properties": (dict, _properties),
    "required": (list, lambda one, other: [*one, *other]),
    "enum": (list, _values),
    "type": ((str, list), _types),
    "items": ((dict, bool), both),
    "additionalProperties": ((dict, bool), both),
    "allOf": (list, lambda one, other: [*one, *other]),
}
"""The kinds of value that a word has, and what two of them say together."""

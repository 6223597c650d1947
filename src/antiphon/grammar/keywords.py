"""What single words of a JSON schema say: types, values, lengths and numbers, each checked."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from antiphon.grammar import strings
from antiphon.grammar.merge import Schema
from antiphon.grammar.nodes import Node, choice
from antiphon.grammar.problems import InvalidSchema

MOST_LENGTH = 2000
"""Longest string, and most items of a list, that can be bounded."""
_TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")
OF_TYPE = {
    "object": {"properties", "required", "additionalProperties", "minProperties", "maxProperties"},
    "array": {"items", "prefixItems", "minItems", "maxItems", "uniqueItems"},
    "string": {"pattern", "format", "minLength", "maxLength"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
}
_HOLDS: Mapping[str, Callable[[Decimal, Decimal], bool]] = {
    "minimum": operator.ge,
    "maximum": operator.le,
    "exclusiveMinimum": operator.gt,
    "exclusiveMaximum": operator.lt,
}
_SIZES: Mapping[type, tuple[str, str]] = {
    str: ("minLength", "maxLength"),
    list: ("minItems", "maxItems"),
    dict: ("minProperties", "maxProperties"),
}
UNCHECKED = {word for words in OF_TYPE.values() for word in words} - {
    *_HOLDS,
    *(word for words in _SIZES.values() for word in words),
}
"""Words to which the values of an 'enum' are not held."""


def types(schema: Schema) -> list[str]:
    """The types that a schema names; if it names none, those that its other words are about."""
    named = schema.get("type")
    if named is None:
        return [name for name, words in OF_TYPE.items() if words & schema.keys()]
    found = [named] if isinstance(named, str) else named
    if not isinstance(found, list) or not found or not all(name in _TYPES for name in found):
        raise InvalidSchema("a 'type' is none of JSON's")
    # What is whole is a number, too: said once is enough.
    return [name for name in dict.fromkeys(found) if not (name == "integer" and "number" in found)]


def enumerated(schema: Schema, types: Sequence[str]) -> Node:
    """One of the values of 'enum' that are of one of the types, if any is said, and within the bounds."""
    values = schema["enum"]
    if not isinstance(values, list) or not values:
        raise InvalidSchema("an 'enum' has no values")
    of_type = [value for value in values if not types or any(_is(value, name) for name in types)]
    kept = [value for value in of_type if _within(value, schema)]
    if not kept:
        raise InvalidSchema("an 'enum' has no value that the rest of its schema allows")
    return choice(*map(strings.literal, kept))


def _within(value: Any, schema: Schema) -> bool:
    if value is None or isinstance(value, bool):
        return True
    if isinstance(value, int | float):
        bounds = {key: decimal(schema, key) for key in _HOLDS}
        number = Decimal(str(value))
        return all(_HOLDS[key](number, bound) for key, bound in bounds.items() if bound is not None)
    least, most = lengths(schema, *_SIZES[type(value)])
    return least <= len(value) and (most is None or len(value) <= most)


def _is(value: Any, name: str) -> bool:
    match value:
        case None:
            return name == "null"
        case bool():
            return name == "boolean"
        case int():
            return name in ("integer", "number")
        case float():
            return name == "number" or (name == "integer" and value.is_integer())
        case str():
            return name == "string"
        case list():
            return name == "array"
        case _:
            return name == "object"


def schemas(found: Any, key: str) -> list[Any]:
    """The schemas that `key` lists."""
    if not isinstance(found, list) or not found:
        raise InvalidSchema(f"'{key}' is not a list of schemas")
    return found


def names(found: Any) -> bool:
    """Whether that is a list of names."""
    return isinstance(found, list) and all(isinstance(name, str) for name in found)


def lengths(schema: Schema, low: str, high: str) -> tuple[int, int | None]:
    """The least, and the most if that is bounded."""
    least, most = schema.get(low, 0), schema.get(high)
    for key, value in ((low, least), (high, 0 if most is None else most)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise InvalidSchema(f"'{key}' is no length")
    if most is not None and most < least:
        raise InvalidSchema(f"'{high}' is less than '{low}'")
    if least > MOST_LENGTH:
        raise InvalidSchema(f"'{low}' is more than {MOST_LENGTH}")
    return least, most if most is None or most <= MOST_LENGTH else MOST_LENGTH


def decimal(schema: Schema, key: str) -> Decimal | None:
    """The number that `key` says, as it is written."""
    value = schema.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidSchema(f"'{key}' is no number")
    found = Decimal(str(value))
    if not found.is_finite() or (key == "multipleOf" and found <= 0):
        raise InvalidSchema(f"'{key}' is no number")
    return found


def moved(value: Decimal | None, by: Decimal) -> Decimal | None:
    return None if value is None else value + by

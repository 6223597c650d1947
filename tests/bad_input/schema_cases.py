"""Hostile JSON schemas: each is refused by name, or the answer is valid under it; none takes long.

What cannot be held to is left out of a schema that is not strict, so what has such words is sent strictly.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import reduce
from typing import Any

from bad_input import pattern_cases
from bad_input.cases import CHAT, Case

SECONDS = 2.0
SERVED_SECONDS = 6.0
"""For a second of the engine's reading at most, and its answer."""
_REQUEST = {
    "model": "gpt-3.5-turbo",
    "messages": [{"role": "user", "content": "Go."}],
    "temperature": 0,
    "max_tokens": 24,
}
_TEXT = {"type": "string"}
_ANY_WORDS: Any = {"a": [1, {"b": None}], "ü": '\u2028 \U0001f600 \\ " / \t'}


def wrapped(schema: Any, times: int, wrap: Callable[[Any], Any]) -> Any:
    return reduce(lambda inner, _: wrap(inner), range(times), schema)


def _array(items: Any) -> Any:
    return {"type": "array", "items": items}


def _object(name: str, schema: Any, **more: Any) -> Any:
    return {"type": "object", "properties": {name: schema}, "required": [name], **more}


def _linked(steps: int, last: Any) -> Any:
    """A chain of references."""
    defs = {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(steps)}
    return {"$ref": "#/$defs/d0", "$defs": {**defs, f"d{steps}": last}}


def _doubling(steps: int, word: str) -> Any:
    """A few lines that unfold to 2**steps parts."""
    defs = {
        f"d{n}": {word: [{"$ref": f"#/$defs/d{n + 1}", "title": side} for side in "ab"]} for n in range(steps)
    }
    return {"$ref": "#/$defs/d0", "$defs": {**defs, f"d{steps}": _TEXT}}


def _several(count: int, schema: Callable[[int], Any]) -> Any:
    """An object of so many properties, all of them required."""
    names = [f"p{n}" for n in range(count)]
    return {
        "type": "object",
        "properties": {name: schema(n) for n, name in enumerate(names)},
        "required": names,
    }


_WRONG: Mapping[str, tuple[Any, ...]] = {
    "type": ("strung", 5, {}, [], ["string", 5], [["string"]], "", "String", ["string", "other"]),
    "properties": (5, "x", [], {"a": 5}, {"a": "string"}, {"a": []}),
    "required": ("a", 5, {}, [5], [None], [["a"]]),
    "additionalProperties": (5, "x", []),
    "items": (5, "x"),
    "prefixItems": (5, "x", {}),
    "enum": (5, "x", {}, []),
    "anyOf": (5, "x", {}, [], [5], ["x"], [[]]),
    "oneOf": (5, {}, [], [5]),
    "allOf": (5, {}, [], [5], ["x"]),
    "$ref": (5, "", "x", [], {}, "#x", "other.json", "http://127.0.0.1:1/schema.json", "file:///etc/passwd"),
    "minLength": (-1, 1.5, "1", True, [], 10**6, 10**30),
    "maxLength": (-1, "1", False, {}),
    "pattern": (5, [], {}, True),
    "minItems": (-1, "1", True, 10**6),
    "maxItems": (-1, "1", {}),
    "minimum": ("1", True, [], {}),
    "maximum": ("1", False, []),
    "exclusiveMinimum": ("1", True),
    "multipleOf": (0, -1, "1", True, []),
}
"""Keywords with values that no schema may have."""

_PAIRED = {
    "type-number": [{"type": 5}, {"type": "string"}],
    "type-null": [{"type": None}, {"type": "string"}],
    "minLength": [{"minLength": "a"}, {"minLength": 3}],
    "maxItems": [{"maxItems": [1]}, {"maxItems": 3}],
    "minimum": [{"minimum": {}}, {"minimum": 3}],
    "required-null": [{"required": None}, {"required": ["a"]}],
    "required-number": [{"required": 5}, {"required": ["a"]}],
    "enum": [{"enum": 5}, {"enum": ["a"]}],
    "enum-null": [{"enum": ["a"]}, {"enum": None}],
    "properties-list": [{"properties": []}, {"properties": {"a": {}}}],
    "properties-null": [{"properties": {"a": {}}}, {"properties": None}],
    "items-list": [{"items": [5]}, {"items": {"type": "string"}}],
    "items-text": [{"items": "x"}, {"items": {"type": "string"}}],
    "additional": [{"additionalProperties": 5}, {"additionalProperties": {"type": "string"}}],
    "allOf": [{"allOf": 5}, {"allOf": [{}]}],
}
"""Pairs that both have to hold, one of which makes no sense."""

_IMPOSSIBLE: Mapping[str, Any] = {
    "false": _object("a", False),
    "false-items": {"type": "array", "items": False, "minItems": 1},
    "bounds": {"type": "integer", "minimum": 2, "maximum": 1},
    "bounds-exclusive": {"type": "integer", "exclusiveMinimum": 1, "exclusiveMaximum": 2},
    "bounds-between": {"type": "integer", "minimum": 1.1, "maximum": 1.9},
    "length": {"type": "string", "minLength": 5, "maxLength": 4},
    "items": {"type": "array", "minItems": 3, "maxItems": 2},
    "required-undeclared": {"type": "object", "required": ["a"], "additionalProperties": False},
    "required-false": _object("a", {}, additionalProperties=False) | {"required": ["a", "b"]},
    "enum-type": {"type": "integer", "enum": ["a", "b"]},
    "enum-disjoint": {"allOf": [{"enum": ["a"]}, {"enum": ["b"]}]},
    "types-disjoint": {"allOf": [{"type": "string"}, {"type": "integer"}]},
    "const-disjoint": {"allOf": [{"const": 1}, {"const": 2}]},
    "const-type": {"type": "string", "const": 5},
    "const-enum": {"const": 5, "enum": [1, 2]},
    "const-bounds": {"type": "integer", "const": 5, "maximum": 4},
    "enum-bounds": {"type": "integer", "enum": [5, 6], "maximum": 4},
    "enum-items": {"enum": [[1], [1, 2]], "minItems": 3},
    "enum-length": {"enum": ["abc"], "type": "string", "maxLength": 2},
    "allOf-bounds": {"type": "integer", "allOf": [{"minimum": 5}, {"maximum": 4}]},
    "allOf-patterns": {"allOf": [{"type": "string", "pattern": "^a$"}, {"pattern": "^b$"}]},
    "allOf-property": {"allOf": [_object("a", {"const": 1}), _object("a", {"const": 2})]},
    "endless": _object("a", {"$ref": "#"}),
    "endless-list": {"type": "array", "items": {"$ref": "#"}, "minItems": 1},
    "endless-of-two": {
        "$ref": "#/$defs/a",
        "$defs": {"a": _object("b", {"$ref": "#/$defs/b"}), "b": _object("a", {"$ref": "#/$defs/a"})},
    },
}
"""Well-formed, and no finite value is valid."""

_LOOPS: Mapping[str, Any] = {
    "self": {"$ref": "#"},
    "pair": {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
    "anyOf": {"anyOf": [{"$ref": "#"}, _TEXT]},
    "allOf": {"allOf": [{"$ref": "#"}]},
    "oneOf": {"oneOf": [{"$ref": "#"}]},
    "sibling": {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a", "minLength": 1}}},
    "allOf-sibling": {"$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}, {}]}}, "$ref": "#/$defs/a"},
    "nowhere": {"$ref": "#/$defs/none"},
    "index": {"$ref": "#/anyOf/7", "anyOf": [{}]},
    "index-negative": {"$ref": "#/anyOf/-1", "anyOf": [{}]},
    "index-wide-digit": {"$ref": "#/anyOf/\u00b2", "anyOf": [{}]},
    "into-text": {"$ref": "#/title/x", "title": "x"},
    "to-text": {"$ref": "#/title", "title": "x"},
    "to-enum": {"$ref": "#/enum", "enum": ["x"]},
    "long": {"$ref": "#/" + "a/" * 100_000},
    "chain": _linked(500, _TEXT),
    "dynamic-strict": {"$dynamicRef": "#x"},
}

_LARGE: Mapping[str, Any] = {
    "deep-arrays": wrapped(_TEXT, 33, _array),
    "deep-arrays-400": wrapped(_TEXT, 400, _array),
    "deep-objects": wrapped(_TEXT, 200, lambda inner: _object("a", inner)),
    "deep-anyOf": wrapped(_TEXT, 300, lambda inner: {"anyOf": [inner]}),
    "deep-allOf": wrapped(_TEXT, 300, lambda inner: {"allOf": [inner]}),
    "deep-prefixItems": wrapped(_TEXT, 300, lambda inner: {"type": "array", "prefixItems": [inner]}),
    "doubling-anyOf": _doubling(24, "anyOf"),
    "doubling-crossed": {
        "$ref": "#/$defs/a0",
        "$defs": {
            f"{side}{n}": {"allOf": [{"$ref": f"#/$defs/{one}{n + 1}"} for one in order]}
            for n in range(24)
            for side, order in (("a", "ab"), ("b", "ba"))
        }
        | {"a24": {"type": "integer", "minimum": 1}, "b24": {"type": "integer", "minimum": 2}},
    },
    "doubling-oneOf": _doubling(30, "oneOf"),
    "optional-2400": {"type": "object", "properties": {f"p{n}": {"const": 1} for n in range(2400)}},
    "anyOf-2000-objects": {"anyOf": [_object(f"p{n}", True) for n in range(2000)]},
    "enum-of-first-letters": {"enum": [chr(0x4E00 + n) for n in range(5000)]},
    "properties": {"type": "object", "properties": {f"p{n}": _TEXT for n in range(6000)}},
    "enum-long": {"enum": ["x" * 200_000]},
    "const-long": {"const": "x" * 200_000},
    "enums-of-45000": {"allOf": [{"enum": [f"{side}{n}" for n in range(45_000)]} for side in "ab"]},
    "required-30000": {
        "type": "object",
        "properties": {f"p{n}": True for n in range(30_000)},
        "required": [f"p{n}" for n in reversed(range(30_000))],
        "additionalProperties": False,
    },
    "patterns": {
        "type": "object",
        "properties": {f"p{n}": {"pattern": f"{n}" + "ab" * 2000} for n in range(900)},
    },
    "lengths-of-400": _several(400, lambda n: {"type": "string", "maxLength": n + 1}),
    "items-of-400": _several(400, lambda n: {**_array(_TEXT), "maxItems": n + 3}),
    "patterns-of-400": _several(
        400, lambda n: {"type": "string", "pattern": f"^.{n}[^{chr(98 + n % 20)}]{{1,9}}$"}
    ),
    "numbers-of-1000": _several(
        1000, lambda n: {"type": "number", "minimum": n * 1.37, "maximum": n * 17.71 + 1e6}
    ),
    "allOf-9000": {"allOf": [{"properties": {f"p{n}": {}}} for n in range(9000)]},
    "number-least-huge": {"type": "integer", "minimum": 10**4000},
    "number-1e308": {"type": "number", "minimum": 1e308},
    "length-huge": {"type": "string", "minLength": 2001},
}
"""Too deep, or too large once unfolded; refused, whatever the engine could do with it."""

_UNSAYABLE: Mapping[str, Any] = {
    "not": {"type": "string", "not": {}},
    "if": {"if": {}, "then": {}},
    "patternProperties": {
        "type": "object",
        "properties": {},
        "patternProperties": {"^(a+)+$": {}},
        "additionalProperties": False,
    },
    "propertyNames": {
        "type": "object",
        "properties": {},
        "propertyNames": {"pattern": "("},
        "additionalProperties": False,
    },
    "contains": {**_array(_TEXT), "contains": {"const": "x"}},
    "uniqueItems": {**_array(_TEXT), "uniqueItems": True},
    "open-object": _object("a", _TEXT),
    "open-object-true": _object("a", _TEXT, additionalProperties=True),
    "not-all-required": _object("a", _TEXT, additionalProperties=False) | {"required": []},
    "multipleOf-7": {"type": "integer", "multipleOf": 7},
    "multipleOf-tiny": {"type": "number", "multipleOf": 1e-300},
    "pattern-and-length": {"type": "string", "pattern": "a", "maxLength": 1},
}
"""Refused if they are to be held to strictly."""

SERVED: Mapping[str, Any] = {
    "true": _object("a", True),
    "empty": {},
    "recursive": {"type": "array", "items": {"$ref": "#"}, "maxItems": 2},
    "recursive-anyOf": {"anyOf": [{"type": "null"}, _object("next", {"$ref": "#"})]},
    "ref-escaped": {"$ref": "#/$defs/a~1b~0c", "$defs": {"a/b~c": {"const": 1}}},
    "ref-with-siblings": {"$ref": "#/$defs/a", "maxLength": 2, "$defs": {"a": _TEXT}},
    "ref-with-description": {"$ref": "#/$defs/a", "description": "x", "$defs": {"a": {"const": 1}}},
    "names-of-keywords": _object("$ref", _TEXT),
    "name-of-python": _object("__class__", {"const": "{{ self.__init__ }}"}),
    "name-of-grammar": _object('root ::= "x"', {"const": '"] | root\n# '}),
    "const-deep": {"const": wrapped(1, 900, lambda inner: [inner])},
    "name-empty": _object("", {"const": ""}),
    "name-unicode": _object("\u202e\u0000é\U0001f600".replace("\u0000", ""), {"const": 1}),
    "name-of-escapes": _object('\\"\n\t\x7f', {"const": '\\"\n\t\x7f'}),
    "name-of-marks": _object("</tool_call><|im_end|>", {"const": "<|im_start|>"}),
    "const-of-values": {"const": _ANY_WORDS},
    "enum-of-types": {"enum": [None, True, 0, -1.5e-7, "", [], {}, _ANY_WORDS]},
    "enum-equal": {"enum": [1, 1.0, True, "1"]},
    "enum-500": {"enum": [f"value {n}" for n in range(500)]},
    "type-all": {"type": ["null", "boolean", "integer", "number", "string", "array", "object"]},
    "limits-int64": {"type": "integer", "minimum": -(2**53), "maximum": 2**53},
    "limits-narrow": {"type": "number", "minimum": 0.1, "maximum": 0.1000001},
    "limits-negative": {"type": "number", "exclusiveMinimum": -1, "exclusiveMaximum": 0},
    "limits-denormal": {"type": "number", "minimum": 5e-324, "maximum": 1},
    "limits-zero": {"type": "integer", "minimum": -0.0, "maximum": 0},
    "limits-1e308": {"type": "number", "minimum": -1e308, "maximum": 1e308},
    "limits-huge": {"type": "integer", "minimum": 0, "maximum": 10**4000},
    "integers-of-1000": _several(1000, lambda n: {"type": "integer"}),
    "booleans-of-1200": _several(1200, lambda n: {"type": "boolean"}),
    "lengths-of-50": _several(50, lambda n: {"type": "string", "maxLength": 100 + 7 * n}),
    "patterns-alike-of-400": _several(
        400, lambda n: {"type": "string", "pattern": f"^[a-z]{{1,{n % 9 + 1}}}-{n}$"}
    ),
    "formats-of-400": _several(400, lambda n: {"type": "string", "format": ("date", "uuid", "email")[n % 3]}),
    "items-2000-texts": {**_array(_TEXT), "maxItems": 2000},
    "length-2000": {"type": "string", "minLength": 2000},
    "length-zero": {"type": "string", "maxLength": 0},
    "length-large": {"type": "string", "maxLength": 10**9},
    "items-of-items": wrapped(
        {"type": "boolean"}, 4, lambda inner: {**_array(inner), "minItems": 1000, "maxItems": 2000}
    ),
    "items-zero": {"type": "array", "maxItems": 0},
    "items-false": {"type": "array", "items": False},
    "items-nested": {**_array({**_array({"type": "boolean"}), "minItems": 2, "maxItems": 2}), "minItems": 1},
    "allOf-many": {"allOf": [{"type": "integer", "minimum": n} for n in range(300)] + [{"maximum": 300}]},
    "enum-10000": {"enum": [f"value {n}" for n in range(10_000)]},
    "enum-5000": {"enum": [f"{n * 7919 % 100003:x} {n}" for n in range(5000)]},
    "anyOf-many": {"anyOf": [{"const": f"value {n}"} for n in range(300)]},
    "anyOf-same": {"anyOf": [_TEXT] * 300},
    "additional-schema": {"type": "object", "additionalProperties": {"type": "integer"}, "maxProperties": 2},
    "additional-false": {"type": "object", "additionalProperties": False},
    "required-undeclared": {"type": "object", "required": ["a", "b"], "additionalProperties": {"const": 1}},
    "optional-200": {
        "type": "object",
        "properties": {f"p{n}": {"const": 1} for n in range(200)} | {"z": {"const": 1}},
        "required": ["z"],
    },
    "required-twice": _object("a", {"const": 1}) | {"required": ["a", "a"]},
    "chain": _linked(20, {"const": 1}),
    "description-large": {"const": 1, "description": "x" * 1_000_000},
    "annotations-wrong": {"const": 1, "title": 5, "description": [], "default": {"$ref": "#/nowhere"}},
    "unknown-words": {"const": 1, "x-other": {"$ref": "#"}, "__proto__": {}, "constructor": None},
    "unknown-format": {"type": "string", "format": "{{ 7*7 }}", "maxLength": 3},
    "format-of-wrong-type": {"type": "string", "format": 5, "maxLength": 3},
    **{
        f"format-{name}": {"type": "string", "format": name}
        for name in ("date", "time", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "uuid")
    },
}
"""Strange, and there is an answer to each."""


_SHAPES = ("recursive", "enum-", "items-", "length", "patterns-", "integers-", "optional-", "anyOf-")
HARD: Mapping[str, Any] = {
    **{f"pattern-{name}": {"type": "string", "pattern": p} for name, p in pattern_cases.SERVED.items()},
    **{name: schema for name, schema in SERVED.items() if name.startswith(_SHAPES)},
}
"""What may hold an engine up. Each kind of engine answers them in `engines/test_hostile_forms.py`."""


def cases() -> Iterator[Case]:
    for word, values in _WRONG.items():
        for index, value in enumerate(values):
            yield _refused(f"wrong-{word}-{index}", _object("a", {word: value}))
    for name, pair in _PAIRED.items():
        yield _refused(f"pair-{name}", {"allOf": pair})
    for group, schemas in {"impossible": _IMPOSSIBLE, "reference": _LOOPS, "large": _LARGE}.items():
        for name, schema in schemas.items():
            yield _refused(f"{group}-{name}", schema, strict=name.endswith("-strict"))
    for name, schema in _UNSAYABLE.items():
        yield _refused(f"unsayable-{name}", schema, strict=True)
    for name, pattern in pattern_cases.REFUSED.items():
        yield _refused(f"pattern-{name}", {"type": "string", "pattern": pattern}, strict=True)
    for name, schema in SERVED.items():
        if name not in HARD:
            yield _served(f"served-{name}", schema)
    # Python has no such class.
    yield _served("pattern-everything", {"type": "string", "pattern": "^[^]x$"}, strict=True, valid=_TEXT)
    # The answer is not held against the schema itself: that would take for ever.
    yield _served("served-doubling-allOf", _doubling(24, "allOf"), valid=_TEXT)


def _refused(name: str, schema: Any, strict: bool = False) -> Case:
    return _case(name, schema, strict=strict, statuses=(400,), param="response_format")


def _served(name: str, schema: Any, strict: bool = False, valid: Any = None) -> Case:
    case = _case(name, schema, strict=strict, statuses=(200,), valid=schema if valid is None else valid)
    return replace(case, seconds=SERVED_SECONDS)


def _case(name: str, schema: Any, *, strict: bool, **expected: Any) -> Case:
    wanted = {"type": "json_schema", "json_schema": {"name": "hostile", "schema": schema, "strict": strict}}
    body = json.dumps({**_REQUEST, "response_format": wanted}).encode()
    return Case(id=f"schema-{name}", path=CHAT, body=lambda: body, seconds=SECONDS, **expected)

"""Schemas as grammars: whatever a grammar gives is JSON, and valid under its schema."""

from __future__ import annotations

import json
import time
from random import Random
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.grammar.keywords import MOST_LENGTH
from antiphon.grammar.problems import InvalidSchema, Unsupported
from antiphon.grammar.schema import DEEPEST, Schemas
from antiphon.grammar.sound import reachable
from grammar_samples import sample

NODE = {
    "type": "object",
    "properties": {
        "value": {"type": "integer"},
        "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
    },
    "required": ["value", "next"],
    "additionalProperties": False,
}
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name"],
}
SCHEMAS: list[Any] = [
    True,
    {},
    {"type": "object"},
    {"type": "array"},
    {"type": "string"},
    {"type": "number"},
    {"type": "integer"},
    {"type": "boolean"},
    {"type": "null"},
    {"type": ["string", "null"]},
    {"type": ["integer", "number"]},
    PERSON,
    {"$ref": "#/$defs/node", "$defs": {"node": NODE}},
    {"properties": {"a": PERSON}},
    {"type": "object", "properties": {n: True for n in "abcd"}, "required": ["b", "d"]},
    {"type": "object", "properties": {n: {"type": "null"} for n in "abc"}, "additionalProperties": False},
    {"type": "object", "properties": {}, "additionalProperties": False},
    {"type": "object", "required": ["x"]},
    {"type": "object", "additionalProperties": {"type": "integer"}},
    {"type": "object", "minProperties": 1, "maxProperties": 2},
    {"enum": ["a", 'b"\\', 3, None, [1, {"k": "ü"}]]},
    {"type": "string", "enum": ["a", 1]},
    {"const": {"a": [1]}},
    {"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 4},
    {"type": "array", "items": PERSON, "maxItems": 0},
    {"type": "array", "items": False},
    {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "items": {"type": "null"}},
    {"type": "array", "prefixItems": [{"type": "integer"}], "minItems": 3},
    {"type": "array", "prefixItems": [{"type": "integer"}, True], "maxItems": 1},
    {"type": "string", "minLength": 2, "maxLength": 3},
    {"type": "string", "maxLength": 10 * MOST_LENGTH},
    {"type": "string", "pattern": '^["a-c]{2}\\d+$'},
    *(
        {"type": "string", "format": name}
        for name in ("date", "time", "date-time", "email", "ipv4", "ipv6", "uuid")
    ),
    *({"type": "string", "format": name} for name in ("hostname", "uri", "duration", "of our own")),
    {"type": "integer", "minimum": -5, "exclusiveMaximum": 12},
    {"type": "integer", "exclusiveMinimum": 17},
    {"type": "number", "minimum": 0, "maximum": 1},
    {"type": "number", "exclusiveMinimum": 0.2, "maximum": 0.75},
    {"type": "number", "minimum": 1e-8, "maximum": 2e-8},
    {"type": "integer", "multipleOf": 1},
    {"anyOf": [PERSON, {"type": "integer"}]},
    {"oneOf": [{"const": 1}, {"const": 2}]},
    {
        "type": "object",
        "properties": {"a": True, "b": True},
        "anyOf": [{"required": ["a"]}, {"required": ["b"]}],
    },
    {"allOf": [PERSON, {"properties": {"age": {"maximum": 9}}, "required": ["age"]}]},
    {"allOf": [{"$ref": "#/$defs/p"}, {"required": ["age"]}], "$defs": {"p": PERSON}},
    {"$ref": "#/$defs/p", "required": ["age"], "$defs": {"p": PERSON}, "title": "A person"},
    {
        "allOf": [
            {"type": ["integer", "string"]},
            {"type": "number", "minimum": 3},
            {"minimum": 5, "maximum": 6},
        ]
    },
    {"allOf": [{"enum": [1, 2, 3]}, {"enum": [2, 3, 4]}]},
    {"allOf": [{"type": ["integer", "number", "null"]}, {"type": ["string", "null"]}]},
    {"const": "b", "enum": ["a", "b"], "type": "string", "minLength": 1},
    {"enum": [1, 2, "x", None, True], "exclusiveMinimum": 1, "maxLength": 0},
    {"type": "integer", "minimum": -(10**4000), "maximum": 10**4000},
    {"type": "number", "maximum": 1e308},
]


def grammar(schema: Any, *, strict: bool = False) -> Any:
    schemas = Schemas()
    root = schemas.add(schema, strict=strict)
    return reachable(schemas.rules, root.name), root


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: json.dumps(schema)[:60])
def test_what_is_written_is_valid(schema: Any) -> None:
    rules, root = grammar(schema)
    checker = jsonschema.Draft202012Validator(
        schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
    chance = Random(4)
    for _ in range(60):
        checker.validate(json.loads(sample(root, rules, chance)))


def test_what_may_be_missing_is_and_is_not() -> None:
    rules, root = grammar(PERSON)
    chance = Random(5)
    found = {tuple(json.loads(sample(root, rules, chance))) for _ in range(50)}
    assert found == {("name",), ("name", "age")}


types = st.sampled_from(["string", "integer", "number", "boolean", "null"])
leaves = st.one_of(
    types.map(lambda name: {"type": name}),
    st.lists(st.text(max_size=3), min_size=1, max_size=3).map(lambda values: {"enum": values}),
    st.tuples(st.integers(-99, 99), st.integers(0, 99)).map(
        lambda pair: {"type": "integer", "minimum": pair[0], "maximum": pair[0] + pair[1]}
    ),
)


def inner(part: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    properties = st.dictionaries(st.text(min_size=1, max_size=3), part, max_size=4)
    return st.one_of(
        st.tuples(properties, st.randoms(use_true_random=False)).map(
            lambda pair: {
                "type": "object",
                "properties": pair[0],
                "required": [name for name in pair[0] if pair[1].random() < 0.5],
                "additionalProperties": False,
            }
        ),
        part.map(lambda items: {"type": "array", "items": items, "maxItems": 3}),
        st.lists(part, min_size=1, max_size=3).map(lambda options: {"anyOf": options}),
    )


@settings(deadline=None, max_examples=60)
@given(st.recursive(leaves, inner, max_leaves=8), st.integers(0, 2**32))
def test_whatever_the_schema_what_is_written_is_valid(schema: Any, seed: int) -> None:
    rules, root = grammar(schema)
    chance = Random(seed)
    for _ in range(5):
        jsonschema.Draft202012Validator(schema).validate(json.loads(sample(root, rules, chance)))


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (False, "no value fits"),
        (3, "neither"),
        ({"type": "foo"}, "none of JSON's"),
        ({"type": []}, "none of JSON's"),
        ({"enum": []}, "no values"),
        ({"type": "null", "enum": [1]}, "rest of its schema allows"),
        ({"type": "string", "const": 5}, "rest of its schema allows"),
        ({"const": 5, "enum": [1, 2]}, "no values"),
        ({"allOf": [{"enum": [1, 2]}, {"enum": [True]}]}, "no values"),
        ({"enum": [5, 6.5], "type": "number", "exclusiveMaximum": 5}, "rest of its schema allows"),
        ({"enum": ["abc", [1, 2, 3]], "maxLength": 2, "maxItems": 2}, "rest of its schema allows"),
        ({"type": "array", "items": False, "minItems": 1}, "that many items"),
        ({"type": "integer", "minimum": 10**4000}, "between its bounds"),
        ({"type": "string", "minLength": 3, "maxLength": 2}, "'maxLength' is less"),
        ({"type": "string", "minLength": -1}, "no length"),
        ({"type": "string", "minLength": True}, "no length"),
        ({"type": "string", "minLength": MOST_LENGTH + 1}, "'minLength' is more"),
        ({"type": "string", "pattern": 3}, "not a string"),
        ({"type": "number", "minimum": "a"}, "no number"),
        ({"type": "number", "maximum": float("nan")}, "no number"),
        ({"type": "integer", "minimum": 3, "maximum": 2}, "between its bounds"),
        ({"type": "integer", "minimum": 0.2, "maximum": 0.8}, "between its bounds"),
        ({"type": "integer", "multipleOf": 0}, "no number"),
        ({"properties": []}, "not what it should be"),
        ({"type": "object", "required": "a"}, "not what it should be"),
        ({"type": "object", "required": ["a"], "additionalProperties": False}, "cannot be"),
        ({"type": "array", "prefixItems": {}}, "not a list"),
        ({"anyOf": []}, "not a list of schemas"),
        ({"type": "array", "minItems": 2, "maxItems": 1}, "'maxItems' is less"),
        ({"$ref": "#"}, "no value that ends"),
        ({"anyOf": [{"$ref": "#"}, {"type": "null"}]}, "leads back"),
        ({"allOf": [{"$ref": "#"}]}, "deep"),
        ({"type": "object", "$ref": "#"}, "deep"),
        ({"$ref": "#/$defs/a", "minimum": 1, "$defs": {"a": False}}, "no value fits"),
        ({"$ref": "https://example.com"}, "outside"),
        ({"$ref": 1}, "outside"),
        ({"$ref": "#/$defs/x"}, "at nothing"),
        ({"allOf": [3]}, "not an object"),
        ({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}, "no value that ends"),
        ({"type": "array", "items": {"$ref": "#"}, "minItems": 1}, "no value that ends"),
        ({"type": "object", "properties": {f"{n}": True for n in range(9000)}}, "too large"),
        ({"type": "string", "minLength": 2000, "maxLength": 2000, "anyOf": [{}] * 99}, ""),
    ],
)
def test_what_is_no_schema_that_can_be_served_is_refused(schema: Any, said: str) -> None:
    if not said:
        grammar(schema)  # options that say the same are one
        return
    with pytest.raises(InvalidSchema, match=said):
        grammar(schema)


def test_depth_is_bounded() -> None:
    schema: Any = {"type": "integer"}
    for _ in range(DEEPEST - 1):
        schema = {"type": "array", "items": schema}
    grammar(schema)
    with pytest.raises(InvalidSchema, match="deep"):
        grammar({"type": "array", "items": schema})


def unfolding(word: str) -> dict[str, Any]:
    """Each level refers to the next four times, each time with something else beside it."""
    levels = {
        f"d{n}": {word: [{"$ref": f"#/$defs/d{n + 1}", "minimum": m} for m in range(4)]} for n in range(15)
    }
    return {"$ref": "#/$defs/d0", "$defs": {**levels, "d15": {"type": "integer"}}}


def test_a_small_schema_that_unfolds_into_a_large_one_costs_little() -> None:
    began = time.monotonic()
    with pytest.raises(InvalidSchema, match="too large"):
        grammar(unfolding("anyOf"))
    grammar(unfolding("allOf"))  # which says that it is at least three, a billion times
    assert time.monotonic() - began < 6.0


def test_many_properties_cost_little() -> None:
    began = time.monotonic()
    rules, root = grammar({"type": "object", "properties": {f"p{n}": {"const": 1} for n in range(250)}})
    assert set(json.loads(sample(root, rules, Random(6))).values()) <= {1}
    with pytest.raises(InvalidSchema, match="may come next"):
        grammar({"type": "object", "properties": {f"p{n}": {"const": 1} for n in range(2400)}})
    assert time.monotonic() - began < 6.0


def test_patterns_are_paid_for_by_their_length() -> None:
    parts = {f"p{n}": {"type": "string", "pattern": f"{n}" + "ab" * 2000} for n in range(900)}
    began = time.monotonic()
    with pytest.raises(InvalidSchema, match="too large"):
        grammar({"type": "object", "properties": parts})
    assert time.monotonic() - began < 6.0


@pytest.mark.parametrize(
    "pair",
    [
        ({"type": 5}, {"type": "string"}),
        ({"minLength": "a"}, {"minLength": 3}),
        ({"maximum": []}, {"maximum": 3}),
        ({"required": None}, {"required": ["a"]}),
        ({"required": [["a"]]}, {"required": ["a"]}),
        ({"enum": 5}, {"enum": ["a"]}),
        ({"properties": None}, {"properties": {"a": {}}}),
        ({"properties": {"a": 5}}, {"properties": {"a": {}}}),
        ({"items": "x"}, {"items": {}}),
        ({"allOf": 5}, {"allOf": [{}]}),
    ],
)
def test_what_makes_no_sense_is_not_held_together_with_something_else(pair: Any) -> None:
    for parts in (pair, pair[::-1]):
        with pytest.raises(InvalidSchema):
            grammar({"allOf": list(parts)})


def strictly(**more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": more}, "required": ["a"], "additionalProperties": False}


@pytest.mark.parametrize(
    "part",
    [
        {"not": {}},
        {"if": {}},
        {"patternProperties": {}},
        {"type": "array", "uniqueItems": True},
        {"type": "string", "pattern": "(?=a)"},
        {"type": "string", "pattern": "a", "maxLength": 3},
        {"type": "integer", "multipleOf": 7},
        {"enum": ["a"], "pattern": "a"},
    ],
)
def test_what_cannot_be_held_to_is_refused_only_where_it_is_to_be_held_to(part: Any) -> None:
    grammar(strictly(**part))
    with pytest.raises(Unsupported):
        grammar(strictly(**part), strict=True)


def test_a_strict_schema_says_everything_of_its_objects() -> None:
    grammar(strictly(type="string"), strict=True)
    with pytest.raises(InvalidSchema, match="additionalProperties"):
        grammar({"type": "object", "properties": {}}, strict=True)
    with pytest.raises(InvalidSchema, match="'required' must include every key"):
        grammar({**strictly(), "required": []}, strict=True)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda part: (
            st.lists(part, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    "type enum const anyOf oneOf allOf $ref properties required items prefixItems minimum "
                    "maximum minLength maxLength pattern format additionalProperties minItems maxItems "
                    "multipleOf".split()
                ),
                part,
                max_size=4,
            )
        ),
    )
)
def test_whatever_is_sent_is_read_or_refused(schema: Any) -> None:
    try:
        grammar(schema)
    except InvalidSchema as problem:
        assert str(problem)

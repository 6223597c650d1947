"""Calls of functions as grammars."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import jsonschema
import pytest

from antiphon.grammar.calls import BEGIN, END, MOST, Value, grammar
from antiphon.grammar.nodes import Grammar
from antiphon.grammar.problems import InvalidSchema, Unsupported
from antiphon.values import Function
from grammar_samples import sample

WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTIONS = [Function(name="weather", parameters=WEATHER), Function(name="now")]


def written(grammar: Grammar, seed: int) -> str:
    return sample(grammar.rules["root"], grammar.rules, Random(seed))


def read(text: str) -> list[dict[str, Any]]:
    found = text.removeprefix(f"{BEGIN}\n").removesuffix(f"\n{END}").split(f"\n{END}\n{BEGIN}\n")
    return [json.loads(one) for one in found]


def test_what_is_written_are_calls_of_these_functions() -> None:
    made, names = grammar(FUNCTIONS, several=True), set()
    for seed in range(60):
        for call in read(written(made, seed)):
            assert list(call) == ["name", "arguments"]
            names.add(call["name"])
            jsonschema.validate(
                call["arguments"], WEATHER if call["name"] == "weather" else {"maxProperties": 0}
            )
    assert names == {"weather", "now"}


def test_one_call_or_several() -> None:
    counts = {len(read(written(grammar(FUNCTIONS, several=True), seed))) for seed in range(60)}
    assert {1, 2} < counts and max(counts) <= MOST
    assert {len(read(written(grammar(FUNCTIONS, several=False), seed))) for seed in range(60)} == {1}


def test_only_what_is_needed_is_said() -> None:
    made = grammar([Function(name="now")], several=False)
    assert set(made.rules) == {"root"}
    assert made.gbnf().count("::=") == 1


def test_values_of_a_schema() -> None:
    made = grammar(value=Value(WEATHER))
    assert all(isinstance(json.loads(written(made, seed))["city"], str) for seed in range(20))


def test_a_value_or_calls() -> None:
    made = grammar(FUNCTIONS, value=Value({"type": "integer"}))
    assert {written(made, seed).startswith(BEGIN) for seed in range(20)} == {True, False}


@pytest.mark.parametrize(
    "parameters", [{"type": "string"}, 3, {"type": "object", "required": 1}, {"$ref": "#"}]
)
def test_a_schema_that_cannot_be_served_is_refused(parameters: Any) -> None:
    with pytest.raises(InvalidSchema) as refused:
        grammar([Function(name="now"), Function(name="f", parameters=parameters)])
    assert refused.value.function == "f"


def test_what_cannot_be_held_to_is_refused_where_it_is_to_be() -> None:
    with pytest.raises(Unsupported) as refused:
        grammar(value=Value({"not": {}}, strict=True))
    assert refused.value.function is None
    grammar([Function(name="f", parameters={"not": {}})])

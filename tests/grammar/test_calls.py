"""Calls of functions as grammars."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import jsonschema
import pytest

from antiphon.grammar.calls import BEGIN, END, MOST, Function, calls, values
from antiphon.grammar.nodes import Grammar
from antiphon.grammar.problems import InvalidSchema, Unsupported
from grammar_samples import sample

WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTIONS = [Function(name="weather", parameters=WEATHER), Function(name="now")]


def written(grammar: Grammar, seed: int) -> str:
    return sample(grammar.rules["root"], grammar.rules, Random(seed))


def read(text: str) -> list[dict[str, Any]]:
    found = text.removeprefix(f"{BEGIN}\n").removesuffix(f"\n{END}").split(f"\n{END}\n{BEGIN}\n")
    return [json.loads(one) for one in found]


def test_what_is_written_are_calls_of_these_functions() -> None:
    grammar, names = calls(FUNCTIONS, several=True), set()
    for seed in range(60):
        for call in read(written(grammar, seed)):
            assert list(call) == ["name", "arguments"]
            names.add(call["name"])
            jsonschema.validate(
                call["arguments"], WEATHER if call["name"] == "weather" else {"maxProperties": 0}
            )
    assert names == {"weather", "now"}


def test_one_call_or_several() -> None:
    counts = {len(read(written(calls(FUNCTIONS, several=True), seed))) for seed in range(60)}
    assert {1, 2} < counts and max(counts) <= MOST
    assert {len(read(written(calls(FUNCTIONS, several=False), seed))) for seed in range(60)} == {1}


def test_only_what_is_needed_is_said() -> None:
    grammar = calls([Function(name="now")], several=False)
    assert set(grammar.rules) == {"root"}
    assert grammar.gbnf().count("::=") == 1


def test_values_of_a_schema() -> None:
    grammar = values(WEATHER, strict=False)
    assert all(isinstance(json.loads(written(grammar, seed))["city"], str) for seed in range(20))


def test_a_schema_that_cannot_be_served_is_refused() -> None:
    with pytest.raises(InvalidSchema):
        calls([Function(name="f", parameters={"type": "what"})], several=False)
    with pytest.raises(Unsupported):
        calls([Function(name="f", parameters={"not": {}}, strict=True)], several=False)

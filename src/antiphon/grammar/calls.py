"""How a model writes that it calls functions, as a grammar, and as the marks by which that is told from text.

<tool_call>
{"name": "weather", "arguments": {"city": "Paris"}}
</tool_call>
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from antiphon.grammar.nodes import EMPTY, Grammar, Node, Repeat, Rule, Text, choice, sequence
from antiphon.grammar.problems import InvalidSchema
from antiphon.grammar.schema import Schemas
from antiphon.grammar.sound import reachable
from antiphon.grammar.strings import literal
from antiphon.values import Function

BEGIN, END = "<tool_call>", "</tool_call>"
MOST = 16
"""Calls in one answer: a model that loops stops there."""


class Value(msgspec.Struct, frozen=True):
    """JSON that is valid under a schema, held to `strict`ly or not."""

    schema: Any
    strict: bool = False


def grammar(
    functions: Sequence[Function] = (), *, several: bool = True, value: Value | None = None
) -> Grammar:
    """Calls of these functions, one or `several`, or such a value; either of them if both are given.

    Raises `InvalidSchema`, which says of which function, if of one.
    """
    schemas = Schemas()
    options: list[Node] = []
    if functions:
        options.append(_calls(schemas, functions, several))
    if value is not None:
        options.append(_sound(schemas, schemas.add(value.schema, strict=value.strict)))
    return Grammar(reachable({**schemas.rules, "root": choice(*options)}, "root"))


def _calls(schemas: Schemas, functions: Sequence[Function], several: bool) -> Node:
    options = []
    for function in functions:
        try:
            arguments = _arguments(schemas, function)
        except InvalidSchema as problem:
            problem.function = function.name
            raise
        name = literal(function.name)
        options.append(sequence(Text('{"name": '), name, Text(', "arguments": '), arguments, Text("}")))
    one = sequence(Text(f"{BEGIN}\n"), choice(*options), Text(f"\n{END}"))
    return sequence(one, Repeat(sequence(Text("\n"), one), 0, MOST - 1) if several else EMPTY)


def _arguments(schemas: Schemas, function: Function) -> Node:
    if function.parameters is None:
        return Text("{}")
    if not isinstance(function.parameters, dict) or function.parameters.get("type", "object") != "object":
        raise InvalidSchema("it is not of the type 'object'")
    of_object = {"type": "object", **function.parameters}
    return _sound(schemas, schemas.add(of_object, strict=function.strict))


def _sound(schemas: Schemas, rule: Rule) -> Rule:
    reachable(schemas.rules, rule.name)
    return rule

"""How a model writes that it calls functions, as a grammar, and as the marks by which that is told from text.

<tool_call>
{"name": "weather", "arguments": {"city": "Paris"}}
</tool_call>
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from antiphon.grammar.nodes import EMPTY, Grammar, Node, Repeat, Text, choice, sequence
from antiphon.grammar.schema import Schemas
from antiphon.grammar.sound import reachable
from antiphon.grammar.strings import literal

BEGIN, END = "<tool_call>", "</tool_call>"
MOST = 16
"""Calls in one answer: a model that loops stops there."""


class Function(msgspec.Struct, frozen=True, kw_only=True):
    """A function that a model may call; `parameters` is the JSON schema of an object, None without any."""

    name: str
    parameters: Any = None
    strict: bool = False


def calls(functions: Sequence[Function], *, several: bool) -> Grammar:
    """Calls of these functions: one, or several at once. Raises `InvalidSchema`."""
    schemas = Schemas()
    options: list[Node] = []
    for function in functions:
        name, arguments = literal(function.name), _arguments(schemas, function)
        options.append(sequence(Text('{"name": '), name, Text(', "arguments": '), arguments, Text("}")))
    one = sequence(Text(f"{BEGIN}\n"), choice(*options), Text(f"\n{END}"))
    more = Repeat(sequence(Text("\n"), one), 0, MOST - 1) if several else EMPTY
    return _grammar(schemas, sequence(one, more))


def values(schema: Any, *, strict: bool) -> Grammar:
    """The values that are valid under a schema. Raises `InvalidSchema`."""
    schemas = Schemas()
    return _grammar(schemas, schemas.add(schema, strict=strict))


def _arguments(schemas: Schemas, function: Function) -> Node:
    if function.parameters is None:
        return Text("{}")
    return schemas.add(function.parameters, strict=function.strict)


def _grammar(schemas: Schemas, root: Node) -> Grammar:
    return Grammar(reachable({**schemas.rules, "root": root}, "root"))

"""What an engine's reading of a grammar costs; the figures were measured (`cost`)."""

from __future__ import annotations

from typing import Any

import pytest

from antiphon.grammar.calls import Value, grammar
from antiphon.grammar.cost import MOST_COST, cost
from antiphon.grammar.nodes import Chars, Node, Repeat, Rule, Text, optional, sequence
from antiphon.grammar.problems import InvalidSchema
from antiphon.grammar.regex import ANY

DIGIT, LETTER = Chars((("0", "9"),)), Chars((("a", "z"),))


def test_wide_classes_cost_most() -> None:
    assert 0.9 < cost(ANY, {}) < 1.1
    assert cost(DIGIT, {}) < 0.05 < cost(LETTER, {}) < 0.5
    assert cost(Chars((("a", "z"),), negated=True), {}) == pytest.approx(
        cost(ANY, {}) - cost(LETTER, {}), abs=0.01
    )
    assert cost(Text("a" * 100), {}) < 0.1


def test_rules_are_read_once_but_where_something_begins_with_them() -> None:
    rules: dict[str, Node] = {"c": ANY, "d": sequence(ANY, Rule("c"))}
    assert cost(sequence(Text("x"), Rule("c")), rules) < 0.1
    assert cost(optional(sequence(Rule("c"), Rule("d"))), rules) == cost(ANY, rules)
    assert cost(sequence(Rule("d"), Rule("c")), rules) == 0
    assert cost(Repeat(Rule("d"), 0, 100), rules) > cost(Repeat(Rule("d"), 100, 100), rules) == 0


def _texts(**more: Any) -> Any:
    properties = {f"p{n}": {"type": "string", **{k: v(n) for k, v in more.items()}} for n in range(400)}
    return {"type": "object", "properties": properties, "required": list(properties)}


@pytest.mark.parametrize(
    "schema",
    [
        _texts(maxLength=lambda n: n + 1),
        _texts(pattern=lambda n: f"^.{n}[a-{chr(98 + n % 20)}]{{1,9}}$"),
        {"type": "string", "pattern": f"^{'[^a]' * 80}$"},
    ],
)
def test_what_would_hold_an_engine_up_is_refused(schema: Any) -> None:
    with pytest.raises(InvalidSchema, match="too long to read"):
        grammar(value=Value(schema))


@pytest.mark.parametrize(
    "schema",
    [
        _texts(maxLength=lambda n: 255),
        _texts(pattern=lambda n: f"^[a-z]{{1,{n % 9 + 1}}}-{n}$"),
        _texts(format=lambda n: ("date", "uuid", "ipv4")[n % 3]),
        {"type": "string", "pattern": "^.{0,1000}$"},
    ],
)
def test_what_is_usual_is_not(schema: Any) -> None:
    rules = grammar(value=Value(schema)).rules
    assert sum(cost(node, rules) for node in rules.values()) < MOST_COST

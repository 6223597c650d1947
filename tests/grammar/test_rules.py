"""What is said again is one rule, and what is counted is counted exactly."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

import pytest

from antiphon.grammar.nodes import Node, Repeat, Rule, Sequence, Text, sequence
from antiphon.grammar.problems import InvalidSchema
from antiphon.grammar.regex import ANY, matching
from antiphon.grammar.rules import MOST_RULES, Rules
from grammar_samples import expression, sample


def counts(node: Node, rules: Mapping[str, Node], bound: int) -> set[int]:
    """How many characters a node may have, up to a bound; every text in it is one."""
    match node:
        case Text(text):
            return {len(text)}
        case Sequence(parts):
            found = {0}
            for part in parts:
                found = {a + b for a in found for b in counts(part, rules, bound) if a + b <= bound}
            return found
        case Repeat(part, least, most):
            found, once = set(), counts(part, rules, bound)
            reached = {0}
            for times in range(bound + 1 if most is None else most + 1):
                if times >= least:
                    found |= reached
                reached = {a + b for a in reached for b in once if a + b <= bound}
            return found
        case Rule(name):
            return counts(rules[name], rules, bound)
    raise AssertionError(node)


@pytest.mark.parametrize("least", [0, 1, 8, 15, 17, 31, 50, 64])
@pytest.mark.parametrize("more", [0, 1, 6, 7, 8, 9, 15, 16, 17, 31, 100, None])
def test_many_are_counted_in_blocks_and_exactly(least: int, more: int | None) -> None:
    rules = Rules({})
    most = None if more is None else least + more
    node = rules.repeated(Text("a"), least, most)
    assert counts(node, rules, 200) == set(range(least, 201 if most is None else most + 1))


def test_the_same_is_one_rule() -> None:
    rules = Rules({})
    counted = rules.compact(Repeat(ANY, 0, 30))
    made = len(rules)
    assert rules.compact(sequence(Text("x"), Repeat(ANY, 0, 30))) == sequence(Text("x"), counted)
    assert len(rules) == made
    assert rules.add(Text("y")) != rules.add(Text("y")) and rules.shared(ANY) == rules.shared(ANY)


@pytest.mark.parametrize("pattern", ["^[a-z]{2,40}$", "^(a{0,3}b|c{17}){1,9}d*$", "^(x?y{3}){20}$"])
def test_a_compact_pattern_matches_the_same(pattern: str) -> None:
    whole, rules, chance = matching(pattern), Rules({}), Random(1)
    compact = rules.compact(whole)
    for _ in range(50):
        assert expression(whole).fullmatch(sample(compact, rules, chance))


def test_there_may_be_so_many() -> None:
    rules = Rules({f"r{n}": ANY for n in range(MOST_RULES)})
    with pytest.raises(InvalidSchema, match="too large"):
        rules.add(ANY)

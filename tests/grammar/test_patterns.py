"""Patterns become rules, each once, and what would hold an engine up is refused."""

from __future__ import annotations

import pytest

from antiphon.grammar.patterns import Patterns
from antiphon.grammar.problems import InvalidSchema, Unsupported
from antiphon.grammar.rules import Rules


def test_a_pattern_is_read_once() -> None:
    rules = Rules({})
    patterns = Patterns(rules)
    first = patterns.rule("^[a-z]{1,99}$")
    made = len(rules)
    assert patterns.rule("^[a-z]{1,99}$") == first and len(rules) == made
    patterns.rule("^[a-z]{1,99}x$")
    assert len(rules) == made + 1, "what they have in common is one rule"
    assert patterns.surcharge == 0


def test_what_is_read_in_several_ways_costs_more() -> None:
    patterns = Patterns(Rules({}))
    patterns.rule("^.?.?.?.?.?.?$")
    assert patterns.surcharge > 1


@pytest.mark.parametrize("pattern", ["^[a-z]{1,20} ?[a-z]{0,20}$", "^([a-z]+ ?){1,30}$"])
def test_what_divides_in_many_ways_is_said_in_one(pattern: str) -> None:
    rules = Rules({})
    patterns = Patterns(rules)
    patterns.rule(pattern)
    assert patterns.surcharge == 0
    assert len(rules) < 100


def test_many_words_are_one_way_and_few_rules() -> None:
    words = "the to that this they there their then than them these those a an and at as be by".split()
    rules = Rules({})
    patterns = Patterns(rules)
    patterns.rule(rf"^(What|Which)( ({'|'.join(words)})){{2,16}}\?$")
    assert patterns.surcharge == 0
    assert len(rules) < 30


@pytest.mark.parametrize("pattern", ["^.{0,200}a?.{0,200}$", "^(.{0,16}a?){0,16}$"])
def test_what_takes_too_many_states_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidSchema, match="too many ways|too large") as refusal:
        Patterns(Rules({})).rule(pattern)
    assert not isinstance(refusal.value, Unsupported), "it is not left out, either"

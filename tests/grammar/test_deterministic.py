"""Patterns as automata of which each text has one way, and as rules."""

from __future__ import annotations

import json
import re
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.grammar.deterministic import MOST_STATES, Machine, in_rules, machine_of, minimal
from antiphon.grammar.problems import InvalidSchema, Unsupported
from antiphon.grammar.regex import matching
from antiphon.grammar.rules import Rules
from grammar_samples import sample

DIVIDED = [
    "^[A-Za-z]{1,20} ?[A-Za-z]{0,20}$",
    "^([a-z]+ ?){1,30}$",
    "^(.+a?){1,20}$",
    r"^(\w+\s?)*x?(\w+\s?)*$",
    "^(a|ab|abc|b?c?){0,20}$",
    '^["\\\\a]{0,9}[a"]{0,9}$',
]
atoms = st.sampled_from(["a", "b", "ab", "[ab]", "[^a]", "(?:a|bc)", "(?:a*b)"])
times = st.sampled_from(["", "?", "*", "+", "{0,3}", "{2}", "{1,4}"])
patterns = st.lists(st.tuples(atoms, times), min_size=1, max_size=5).map(
    lambda parts: f"^{''.join(atom + count for atom, count in parts)}$"
)


def accepts(machine: Machine, text: str) -> bool:
    state = 0
    for character in text:
        kinds = [
            k for k, spans in enumerate(machine.kinds) if any(a <= ord(character) <= b for a, b in spans)
        ]
        if not kinds or kinds[0] not in machine.moves[state]:
            return False
        state = machine.moves[state][kinds[0]]
    return state in machine.ends


@given(patterns, st.text("abcd", max_size=8))
def test_it_accepts_what_the_pattern_does(pattern: str, text: str) -> None:
    machine = machine_of(matching(pattern))
    found = re.search(pattern, text) is not None
    assert accepts(machine, text) == found
    assert accepts(minimal(machine), text) == found


@pytest.mark.parametrize("pattern", DIVIDED)
def test_what_its_rules_write_is_found(pattern: str) -> None:
    rules, chance = Rules({}), Random(7)
    root = in_rules(matching(pattern), rules)
    for _ in range(50):
        written = json.loads(sample(root, rules, chance))
        assert re.search(pattern, written, re.ASCII), written


def test_states_that_say_the_same_are_one() -> None:
    assert len(minimal(machine_of(matching("^(a|b|c)+$"))).moves) == 2
    machine = machine_of(matching("^([a-z]+ ?){1,30}$"))
    assert len(machine.moves) > 400 and len(minimal(machine).moves) < 100


def test_too_many_states_are_refused() -> None:
    with pytest.raises(InvalidSchema, match="too many ways|too large"):
        in_rules(matching(f"^.{{0,{MOST_STATES}}}a?.{{0,{MOST_STATES}}}$"), Rules({}))


def test_what_is_never_written_is_no_way() -> None:
    assert accepts(minimal(machine_of(matching("^([\x01a]b?)+$"))), "aab")
    with pytest.raises(Unsupported):
        in_rules(matching("^[\x01]+$"), Rules({}))

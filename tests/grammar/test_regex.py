"""Patterns of schemas: what they match is what Python's engine finds, and what cannot be said is refused."""

from __future__ import annotations

import re
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.grammar.problems import Unsupported
from antiphon.grammar.regex import matching
from grammar_samples import expression, sample

PATTERNS = [
    "^a$",
    "a",
    "^(a|bc)+$",
    "^[a-c]{2,4}$",
    "^[^a-c\\d]?x$",
    "^\\d{4}-\\d{2}$",
    "^\\w+\\s\\S*$",
    "^a|b$",
    "^(?:a(?:b|c)?)*$",
    "^(?<year>\\d+)$",
    "^\\.\\*\\$$",
    "^[\\w.+-]+@\\w+$",
    "^\\x41\\u00e9$",
    "^.{0,3}$",
    "^[]a]$".replace("[]a]", "[\\]a]"),
    "",
    "^$",
    "^[-a]$",
    "^[a-]$",
    "^a{3}$",
    "^a{2,}$",
    "^a*?b$",
]
REFUSED = [
    "(?=a)",
    "(?!a)",
    "(?<=a)",
    "(a)\\1",
    "\\ba",
    "a**",
    "(",
    ")",
    "a)",
    "[",
    "[]",
    "[z-a]",
    "a{2,1}",
    "{2}",
    "a{5000}",
    "a{1",
    "\\p{L}",
    "\\u12",
    "\\",
    "(^a)",
    "a^b",
    "a$b",
    "(?i)a",
    "*a",
    "[\\D]",
    "(" * 40 + ")" * 40,
    "a{x}",
    "\\ud800",
    "\\u1_11",
    "a{\u0661}",
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_what_is_written_is_found(pattern: str) -> None:
    node, chance = matching(pattern), Random(1)
    for _ in range(50):
        text = sample(node, {}, chance)
        assert re.search(pattern.replace("(?<y", "(?P<y"), text, re.ASCII), text


@given(st.sampled_from(PATTERNS), st.text("abcx1_-.@é ]", max_size=5))
def test_what_is_found_may_be_written(pattern: str, text: str) -> None:
    theirs = re.compile(pattern.replace("(?<y", "(?P<y"), re.ASCII)
    assert bool(expression(matching(pattern)).fullmatch(text)) == bool(theirs.search(text))


@pytest.mark.parametrize("pattern", REFUSED)
def test_what_cannot_be_said_is_refused(pattern: str) -> None:
    with pytest.raises(Unsupported):
        matching(pattern)


@given(st.text(max_size=30))
def test_whatever_is_sent_is_read_or_refused(pattern: str) -> None:
    try:
        matching(pattern)
    except Unsupported as problem:
        assert str(problem)

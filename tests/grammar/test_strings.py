"""Strings as JSON writes them, whatever is in them."""

from __future__ import annotations

import json
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.grammar import strings
from antiphon.grammar.nodes import Chars, Repeat, Text, sequence
from antiphon.grammar.regex import matching
from grammar_samples import expression, sample


@given(st.text(), st.integers(0, 2**32))
def test_a_text_is_its_json(text: str, seed: int) -> None:
    assert json.loads(sample(strings.quoted(Text(text)), {}, Random(seed))) == text


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner)))
def test_a_literal_is_its_json(value: object) -> None:
    assert json.loads(sample(strings.literal(value), {}, Random(0))) == value


@pytest.mark.parametrize("pattern", ['^["\\\\]$', "^[^a]$", "^\\s$", "^[\\x00-z]$", "^.$"])
def test_a_class_is_what_json_reads_as_one_of_it(pattern: str) -> None:
    node, raw, chance = strings.quoted(matching(pattern)), expression(matching(pattern)), Random(2)
    for _ in range(200):
        assert raw.fullmatch(json.loads(sample(node, {}, chance)))
    for character in '"\\\n\tz~é\U0001f600':
        written = json.dumps(character, ensure_ascii=False)
        assert bool(expression(node).fullmatch(written)) == bool(raw.fullmatch(character))


def test_a_character_counts_once_however_it_is_written() -> None:
    three = expression(sequence(strings.QUOTE, Repeat(strings.CHARACTER, 3, 3), strings.QUOTE))
    for text in ("abc", 'a"b', "\\\\\\", "\n\t\n", "日本語", "\U0001f600" * 3):
        assert three.fullmatch(json.dumps(text, ensure_ascii=False))
    for text in ("ab", "abcd", ""):
        assert not three.fullmatch(json.dumps(text))


def test_half_a_pair_is_never_written() -> None:
    assert not expression(strings.in_json(Chars((), negated=True))).fullmatch("\ud800")

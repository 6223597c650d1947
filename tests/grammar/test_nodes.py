"""Grammars as text: what llama.cpp and xgrammar read alike."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.grammar.nodes import (
    EMPTY,
    Chars,
    Grammar,
    Repeat,
    Rule,
    Text,
    choice,
    optional,
    sequence,
)
from grammar_samples import expression, sample


def written(*parts: object) -> str:
    return Grammar({"root": sequence(*parts)}).gbnf().removeprefix("root ::= ").rstrip("\n")  # type: ignore[arg-type]


def test_texts_and_classes_are_escaped() -> None:
    assert written(Text('a"\\\n\u00e9x\U0001f600')) == r'"a\"\\\n' + '\u00e9x\U0001f600"'
    assert written(Chars((("a", "c"), ("]", "]"), ("\\", "\\")))) == r"[\\\]a-c]"
    assert written(Chars((("\u2028", "\u2029"),), negated=True)) == "[^\u2028-\u2029]"


def test_no_digit_stands_behind_a_letter_that_becomes_a_number() -> None:
    assert written(Text("\u00e9\u00e9a1\x7f0"), Text("x")) == '("\u00e9\u00e9" "a1\x7f" "0") "x"'
    assert written(Text("\u65e5F")) == '"\u65e5" "F"'
    ranges = (("\u00e9", "\u00ed"), ("0", "\u00e0"), ("a", "f"))
    assert written(Chars(ranges)) == r"[0-\]a-f_-" + "\u00e0\u00e9-\u00ed" + r"\u005E]"


def test_what_has_a_meaning_in_a_class_stands_at_its_end() -> None:
    assert written(Chars((("+", "0"), ("^", "^"), ("a", "c")))) == r"[+-,.-0a-c\u002D\u005E]"
    assert written(Chars((("]", "_"), ("-", "-")), negated=True)) == r"[^\]_\u002D\u005E]"
    assert written(Chars((("-", "."),))) == r"[.\u002D]"


@settings(deadline=None)
@given(st.lists(st.text("ab,0", max_size=6), min_size=9, max_size=60), st.integers(0, 2**32))
def test_many_texts_branch_where_they_differ(texts: list[str], seed: int) -> None:
    node = choice(*map(Text, texts))
    assert all(expression(node).fullmatch(text) for text in texts)
    chance = Random(seed)
    assert {sample(node, {}, chance) for _ in range(20)} <= set(texts)


def test_texts_that_branch_often_are_told_apart_as_far_as_is_deep_enough() -> None:
    longer = choice(*(Text("a" * n) for n in range(500)), Chars((("b", "c"),)))
    assert expression(longer).fullmatch("a" * 499) and expression(longer).fullmatch("b")
    assert not expression(longer).fullmatch("a" * 500)


def test_parts_are_grouped_where_they_have_to_be() -> None:
    either = choice(Text("a"), sequence(Text("b"), Rule("r1")))
    assert written(either) == '"a" | ("b" r1)'
    assert written(Text("x"), either) == '"x" ("a" | ("b" r1))'
    assert written(Repeat(either)) == '("a" | ("b" r1))*'
    assert written(Repeat(Repeat(Text("a"), 1), 2, 2)) == '("a"+){2}'


def test_repetitions() -> None:
    a = Text("a")
    found = [
        written(Repeat(a, *bounds)) for bounds in ((0, None), (1, None), (0, 1), (2, 2), (2, None), (2, 5))
    ]
    assert found == ['"a"*', '"a"+', '"a"?', '"a"{2}', '"a"{2,}', '"a"{2,5}']


def test_nothing_is_left_out() -> None:
    assert sequence(EMPTY, Text("a"), EMPTY) == Text("a")
    assert sequence() == sequence(EMPTY) == EMPTY
    assert choice(Text("a"), EMPTY, Text("a")) == optional(Text("a"))
    assert choice(EMPTY) == EMPTY


def test_the_root_comes_first() -> None:
    assert Grammar({"a": Text("1"), "root": Rule("a")}).gbnf() == 'root ::= a\na ::= "1"\n'

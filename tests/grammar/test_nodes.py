"""Grammars as text: what llama.cpp and xgrammar read alike."""

from __future__ import annotations

from antiphon.grammar.nodes import EMPTY, Chars, Grammar, Repeat, Rule, Text, choice, optional, sequence


def written(*parts: object) -> str:
    return Grammar({"root": sequence(*parts)}).gbnf().removeprefix("root ::= ").rstrip("\n")  # type: ignore[arg-type]


def test_texts_and_classes_are_escaped() -> None:
    assert written(Text('a"\\\n\u00e9\U0001f600')) == r'"a\"\\\x0A\xE9\U0001F600"'
    assert written(Chars((("a", "c"), ("]", "]"), ("-", "-"), ("\\", "\\"), ("^", "^")))) == r"[a-c\]\-\\\^]"
    assert written(Chars((("\u2028", "\u2029"),), negated=True)) == r"[^\u2028-\u2029]"


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

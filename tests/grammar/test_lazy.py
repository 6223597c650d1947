"""Grammars that hold from some word on."""

from __future__ import annotations

import pytest

from antiphon.errors import InvalidRequest
from antiphon.grammar.calls import BEGIN, grammar
from antiphon.grammar.lazy import after
from antiphon.values import Function


def test_it_begins_behind_its_trigger() -> None:
    made = grammar([Function(name="now")]).gbnf()
    first, second, *rest = after(BEGIN, made).split("\n")
    assert first == f'root ::= TagDispatch(("{BEGIN}", after_trigger), loop_after_dispatch=false)'
    assert second.startswith('after_trigger ::= "')
    assert made.split("\n")[0] == second.replace('after_trigger ::= "', f'root ::= "{BEGIN}')
    assert rest == made.split("\n")[1:]


def test_a_trigger_may_have_marks_of_the_grammar() -> None:
    first, second = after('"\\', 'root ::= "\\"\\\\x"').split("\n")
    assert '(("\\"\\\\", after_trigger)' in first and second == 'after_trigger ::= "x"'


def test_one_that_begins_otherwise_is_refused() -> None:
    with pytest.raises(InvalidRequest) as refusal:
        after("x", 'root ::= "y"')
    assert refusal.value.param == "grammar"

"""Calls within what a model writes, however it arrives."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.grammar.calls import BEGIN, END
from antiphon.inference.calls import Calls, Part
from antiphon.values import CallDelta


def call(name: str, arguments: Any) -> str:
    return f'{BEGIN}\n{{"name": {json.dumps(name)}, "arguments": {json.dumps(arguments)}}}\n{END}'


def read(text: str, sizes: list[int] | None = None) -> list[Part]:
    """The parts of a text that arrives in pieces of these sizes, over and over; as a whole without."""
    calls, parts, start = Calls(), list[Part](), 0
    sizes = sizes or [max(1, len(text))]
    while start < len(text):
        for size in sizes:
            parts += calls.feed(text[start : start + size])
            start += size
    return parts + calls.end()


def folded(parts: list[Part]) -> tuple[str, list[tuple[str, Any]]]:
    """The text, and the calls by name with their arguments as values."""
    text, found = "", list[list[str]]()
    for part in parts:
        if isinstance(part, str):
            text += part
            continue
        if part.id:
            assert part.index == len(found) and part.name
            found.append([part.name, ""])
        assert part.index == len(found) - 1
        found[-1][1] += part.arguments
    return text, [(name, json.loads(arguments)) for name, arguments in found]


names = st.text("abc_-", min_size=1, max_size=5)
objects = st.dictionaries(
    st.text(max_size=3),
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5) | st.sampled_from(['}"', "\\", END, BEGIN, "{["]),
        lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=2), part, max_size=2),
        max_leaves=5,
    ),
    max_size=3,
)


@given(
    st.text("<tol_cal>/ x", max_size=12).filter(lambda text: BEGIN not in text),
    st.lists(st.tuples(names, objects), max_size=3),
    st.lists(st.integers(1, 7), min_size=1, max_size=4),
)
def test_calls_are_found_in_whatever_pieces(
    before: str, made: list[tuple[str, Any]], sizes: list[int]
) -> None:
    text = before + "\n".join(call(name, arguments) for name, arguments in made)
    assert folded(read(text, sizes)) == (before, made)


def test_text_comes_at_once_unless_it_may_be_the_beginning_of_a_call() -> None:
    calls = Calls()
    assert calls.feed("Let me see") == ["Let me see"]
    assert calls.feed(" <tool") == [" "]
    assert calls.feed("box") == ["<toolbox"]
    assert calls.feed("<") == []
    assert calls.end() == ["<"]
    assert not calls.any


def test_arguments_come_as_they_are_written() -> None:
    calls = Calls()
    assert calls.feed(BEGIN) == calls.feed('\n{"name": "f", "argum') == []
    begun, opened = calls.feed('ents": {"a')
    assert isinstance(begun, CallDelta) and begun.name == "f" and begun.id.startswith("call_")
    assert opened == CallDelta(0, arguments='{"a')
    assert calls.feed('": "}') == [CallDelta(0, arguments='": "}')]
    assert calls.feed('"}}\n</tool') == [CallDelta(0, arguments='"}')]
    assert calls.feed("_call>") == calls.end() == []
    assert calls.any


def test_every_call_has_an_id_of_its_own() -> None:
    parts = read(call("f", {}) + "\n" + call("f", {}))
    ids = [part.id for part in parts if isinstance(part, CallDelta) and part.id]
    assert len(set(ids)) == len(ids) == 2


@pytest.mark.parametrize(
    "text",
    [
        BEGIN, f"{BEGIN}\nnothing{END}", f"{BEGIN}\n{{}}", f'{BEGIN}{{"name": "f", "arguments": 3}}{END}',
        f'{BEGIN}{{"name": 3}}', "<tool_cal", f"{BEGIN}" + "x" * 2000,
    ],
)  # fmt: skip
def test_what_begins_like_a_call_and_is_none_stays_text(text: str) -> None:
    assert folded(read("a" + text)) == ("a" + text, [])
    assert folded(read("a" + text, [3])) == ("a" + text, [])


def test_arguments_that_break_off_are_told_as_far_as_they_came() -> None:
    begun, arguments = read(f'{BEGIN}\n{{"name": "f", "arguments": {{"a": "b')
    assert isinstance(begun, CallDelta) and arguments == CallDelta(0, arguments='{"a": "b')


@pytest.mark.parametrize("begun", [BEGIN, f'{BEGIN}\n{{"name": "wea'])
def test_a_call_that_is_cut_off_before_its_arguments_is_no_text(begun: str) -> None:
    calls = Calls()
    assert calls.feed(f"Let me see. {begun}") + calls.end(cut=True) == ["Let me see. "]
    calls = Calls()
    assert "".join(map(str, calls.feed(begun) + calls.end())) == begun


def test_what_follows_a_call_that_does_not_end_as_one_is_text() -> None:
    text, found = folded(read(f'{BEGIN}\n{{"name": "f", "arguments": {{}} and so on'))
    assert (text, found) == (" and so on", [("f", {})])

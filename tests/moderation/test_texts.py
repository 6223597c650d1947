from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from antiphon.moderation.scoring import MOST_CHARACTERS
from antiphon.moderation.texts import MOST_PIECES, Piece, pieces
from observations import seen


def test_the_newest_texts_of_a_conversation_come_first_and_older_ones_are_known() -> None:
    messages = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "two"},
        {"role": "user", "content": [{"type": "text", "text": "three"}, {"type": "input_audio"}]},
    ]
    answer = {
        "choices": [{"message": {"content": "four", "tool_calls": [{"function": {"arguments": "{}"}}]}}]
    }
    assert pieces(seen({"messages": messages}, answer)) == [
        Piece("output", "four", True),
        Piece("output", "{}", True),
        Piece("input", "three", True),
        Piece("input", "two", False),
        Piece("input", "one", False),
        Piece("input", "Be kind.", False),
    ]


def test_prompts_inputs_and_transcripts_are_texts_and_tokens_are_none() -> None:
    assert pieces(seen({"prompt": ["a", "b"]}, {"choices": [{"text": "c"}]})) == [
        Piece("output", "c", True), Piece("input", "b", True), Piece("input", "a", True),
    ]  # fmt: skip
    assert pieces(seen({"input": [[1, 2], "x"]})) == [Piece("input", "x", True)]
    assert pieces(seen({"prompt": "names"}, {"text": "spoken", "segments": []})) == [
        Piece("output", "spoken", True), Piece("input", "names", True),
    ]  # fmt: skip


def test_what_is_said_in_recordings_stands_where_they_do() -> None:
    sound = {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}
    messages = [
        {"role": "user", "content": [sound]},
        {"role": "assistant", "content": "two"},
        {"role": "user", "content": [{"type": "text", "text": "three"}, sound, sound]},
    ]
    heard = {
        "messages[0].content[0]": "one",
        "messages[2].content[1]": "four",
        "messages[2].content[2]": "",
    }
    assert pieces(seen({"messages": messages}, heard=heard)) == [
        Piece("input", "four", True),
        Piece("input", "three", True),
        Piece("input", "two", False),
        Piece("input", "one", False),
    ]


def test_calls_are_texts_in_both_of_their_forms() -> None:
    calls = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"function": {"arguments": '{"a": 1}'}}],
        "function_call": {"name": "f", "arguments": '{"b": 2}'},
    }
    answer = {"choices": [{"message": calls}]}
    assert pieces(seen({}, answer)) == [Piece("output", '{"a": 1}', True), Piece("output", '{"b": 2}', True)]
    assert [one.text for one in pieces(seen({"messages": [calls]}))] == ['{"b": 2}', '{"a": 1}']


def test_nothing_new_is_left_out() -> None:
    """One bad message does not hide behind many harmless ones."""
    old = [{"role": "user", "content": f"old {at}"} for at in range(10)]
    new = [{"role": "user", "content": f"new {at}"} for at in range(MOST_PIECES + 10)]
    messages = [*old, {"role": "assistant", "content": "x"}]
    found = pieces(seen({"messages": [*messages, *new]}))
    assert [one.text for one in found] == [f"new {at}" for at in reversed(range(MOST_PIECES + 10))]
    found = pieces(seen({"messages": [*messages, *new[: MOST_PIECES - 3]]}))
    assert [one.text for one in found[-3:]] == ["x", "old 9", "old 8"] and len(found) == MOST_PIECES


def test_what_is_long_is_cut_and_what_is_much_is_read_from_its_end() -> None:
    long = "x" * (MOST_CHARACTERS + 1)
    assert [len(one.text) for one in pieces(seen({"prompt": long}))] == [MOST_CHARACTERS, 1]
    many = [{"role": "user", "content": str(at)} for at in range(MOST_PIECES + 10)]
    found = pieces(seen({"messages": [*many, {"role": "assistant", "content": "last"}]}))
    assert len(found) == MOST_PIECES and [one.text for one in found[:2]] == ["last", str(MOST_PIECES + 9)]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["messages", "content", "role", "text", "choices", "message", "tool_calls", "function"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(JSON, JSON)
def test_whatever_is_sent_and_answered_it_is_read(asked: Any, answered: Any) -> None:
    assert all(isinstance(one.text, str) and one.text for one in pieces(seen(asked, answered)))


def test_what_is_no_json_has_no_texts() -> None:
    assert pieces(msgspec.structs.replace(seen(), asked=b"\xff{", answered=b"{")) == []

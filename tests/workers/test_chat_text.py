"""Text of tokens: whole characters, and nothing of a stop string, however the bytes are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.workers.chat.text import TextStream

BYTES = [bytes([byte]) for byte in range(256)]


def pieces(text: str, stops: list[str], cuts: int = 1) -> tuple[list[str], TextStream]:
    """What is shown of a text whose bytes come so many at a time, last what was held."""
    stream = TextStream(BYTES, stops)
    raw = text.encode()
    shown = [stream.feed(raw[start : start + cuts]) for start in range(0, len(raw), cuts)]
    return [*shown, stream.end()], stream


def test_characters_are_never_split() -> None:
    shown, _ = pieces("aé🦊ß", [])
    assert shown == ["a", "", "é", "", "", "", "🦊", "", "ß", ""]


def test_an_unfinished_character_is_dropped() -> None:
    stream = TextStream(BYTES)
    assert stream.feed("🦊".encode()[:3]) == "" and stream.end() == ""


def test_what_is_no_character_is_shown_as_such() -> None:
    stream = TextStream(BYTES)
    assert stream.feed([0xFF, ord("a")]) == "\ufffda"


def test_the_beginning_of_a_stop_string_is_held_until_it_is_none() -> None:
    shown, stream = pieces("say STOKE", ["STOP"])
    assert shown == ["s", "a", "y", " ", "", "", "", "STOK", "E", ""] and not stream.stopped


def test_a_stop_string_is_cut_off() -> None:
    shown, stream = pieces("say STOP and more", ["and", "STOP"])
    assert "".join(shown) == "say " and stream.stopped


def test_the_first_of_several_counts() -> None:
    stream = TextStream(BYTES, ["later", "now"])
    assert stream.feed(b"it is now or later") == "it is "
    assert stream.stopped and stream.feed(b"more") == ""


def test_what_was_held_is_text_in_the_end() -> None:
    stream = TextStream(BYTES, ["STOP"])
    assert stream.feed(b"a STO") == "a " and stream.end() == "STO"


@pytest.mark.parametrize("cuts", [1, 2, 3, 7])
@given(text=st.text("ab🦊", max_size=30), stops=st.lists(st.text("ab🦊", min_size=1, max_size=4), max_size=3))
def test_it_is_what_stands_before_the_first_stop_string(cuts: int, text: str, stops: list[str]) -> None:
    shown = "".join(pieces(text, stops, cuts)[0])
    assert text.startswith(shown) and not any(stop in shown for stop in stops)
    ends = [(text.find(stop) + len(stop), -len(stop)) for stop in stops if stop in text]
    if not ends:
        assert shown == text
    elif cuts == 1:  # the first to be whole counts, of several the longest
        assert shown == text[: sum(min(ends))]

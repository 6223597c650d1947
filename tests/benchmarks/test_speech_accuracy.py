"""Word errors by language, and the interval of their difference."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.recordings import Recording
from benchmarks.speech.accuracy import OTHERS, Count, count, differing, interval, rates
from benchmarks.speech.values import Difference
from hypothesis import given, settings
from hypothesis import strategies as st


def clip(language: str, text: str) -> Recording:
    return Recording(Path(f"{language}.ogg"), 1.0, language, text)


def test_errors_are_counted_by_kind() -> None:
    found = count("one two three four five", "one too three four", "de")
    assert (found, found.errors, found.rate) == (Count(1, 1, 0, 5), 2, 40.0)
    assert count("one two", "one two three", "de") == Count(0, 0, 1, 2)


def test_an_empty_transcript_misses_every_word() -> None:
    assert count("one two", "", "de") == Count(0, 2, 0, 2)


def test_numbers_of_english_are_one_word_however_they_are_written() -> None:
    assert count("twenty-five colours", "25 colors", "en").errors == 0


def test_the_same_errors_differ_by_nothing() -> None:
    assert interval([1, 0, 2], [1, 0, 2], [10, 10, 10]) == (0.0, 0.0)


@settings(deadline=None, max_examples=25)
@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(1, 30)), min_size=20, max_size=40
    ).filter(lambda found: any(one[0] != one[1] for one in found))
)
def test_the_interval_holds_the_difference(found: list[tuple[int, int, int]]) -> None:
    ours, theirs, words = (list(column) for column in zip(*found, strict=True))
    low, high = interval(ours, theirs, words)
    difference = 100 * (sum(ours) - sum(theirs)) / sum(words)
    assert low - 1 <= difference <= high + 1 and low <= high
    mirrored = interval(theirs, ours, words)
    assert mirrored == pytest.approx((-high, -low))


def test_more_clips_make_it_narrower() -> None:
    few = interval([1, 0, 0, 2] * 3, [0, 1, 0, 0] * 3, [10] * 12)
    many = interval([1, 0, 0, 2] * 30, [0, 1, 0, 0] * 30, [10] * 120)
    assert many[1] - many[0] < (few[1] - few[0]) / 2


def test_the_interval_pairs_the_sides() -> None:
    """A clip that both get wrong in the same way adds nothing, however hard it is."""
    assert interval([9, 0], [9, 0], [10, 10]) == (0.0, 0.0)


def test_rates_by_language_and_all_but_english_together() -> None:
    clips = [clip("de", "eins zwei"), clip("en", "a dog and a cat"), clip("fr", "un deux")]
    found = rates(clips, ["eins", "a dog and a cat", "un deux"], ["eins zwei", "a dog", "un"], clients=4)
    assert [(one.group, one.clips, one.clients) for one in found] == [
        ("en", 1, 4), ("de", 1, 4), ("fr", 1, 4), (OTHERS, 2, 4),
    ]  # fmt: skip
    assert [(one.ours, one.theirs) for one in found] == [(0, 60), (50, 0), (0, 50), (25, 25)]


def test_english_alone_has_no_others() -> None:
    assert [one.group for one in rates([clip("en", "one")], ["one"], ["one"], clients=1)] == ["en"]


def test_differing_words_name_their_clip() -> None:
    clips = [clip("de", "eins"), clip("en", "one")]
    assert differing(clips, ["eins", "won"], ["eins", "one"]) == [Difference("en.ogg", "won", "one")]

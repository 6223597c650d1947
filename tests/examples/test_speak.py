"""What code tells of a recording in examples/speak, from words and their times."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "speak"))
feedback = importlib.import_module("feedback")
partner = importlib.import_module("partner")


def spoken(text: str, each: float = 0.4, gaps: dict[int, float] | None = None) -> list[object]:
    """The words of a text, one after the other, each as long; before some of them a gap."""
    words, at = [], 0.0
    for n, word in enumerate(text.split()):
        at += (gaps or {}).get(n, 0.0)
        words.append(feedback.Word(word, at, at + each))
        at += each
    return words


def test_pace_counts_words_and_not_fillers() -> None:
    assert feedback.pace(spoken("one two three four five")) == 150
    assert feedback.pace(spoken("one um, two three four")) == 120
    assert feedback.pace(spoken("one")) is None
    assert feedback.pace([]) is None


def test_a_pause_is_told_by_the_word_before_it() -> None:
    found = feedback.pauses(spoken("I would, like tea", gaps={2: 1.2, 3: 0.3}))
    assert found == [{"after": "would", "seconds": 1.2}]


def test_a_word_that_lasts_too_long_hides_a_pause() -> None:
    words = [feedback.Word("ask", 0, 0.4), feedback.Word("not", 0.4, 2.4)]
    assert [pause["after"] for pause in feedback.pauses(words)] == ["ask"]


@pytest.mark.parametrize(
    ("said", "kinds"),
    [
        ("I like green tea.", ["same"] * 4),
        ("I like, um, green tea", ["same"] * 4),
        ("I like tea", ["same", "same", "missing", "same"]),
        ("I like black tea", ["same", "same", "different", "same"]),
        ("I really like green tea", ["same", "extra", "same", "same", "same"]),
        ("", ["missing"] * 4),
    ],
)
def test_words_are_compared_with_the_target(said: str, kinds: list[str]) -> None:
    assert [one["kind"] for one in feedback.compared("I like green tea!", spoken(said))] == kinds


def test_apostrophes_of_either_form_are_one() -> None:
    assert [one["kind"] for one in feedback.compared("I don’t know", spoken("I don't know"))] == ["same"] * 3


@pytest.mark.parametrize(
    ("digits", "words"),
    [
        ("The 20th", "the twentieth"), ("in 1813", "in eighteen thirteen"), ("1905", "nineteen oh five"),
        ("21st", "twenty first"), ("12th", "twelfth"), ("1900", "nineteen hundred"),
        ("7 of 42", "seven of forty two"),
    ],
)  # fmt: skip
def test_numbers_are_compared_as_they_are_said(digits: str, words: str) -> None:
    assert feedback.plain(digits) == words.split()


def test_other_numbers_stay_as_they_are() -> None:
    assert feedback.plain("300 or 2500") == ["300", "or", "2500"]


def test_everything_together() -> None:
    told = feedback.feedback("", spoken("well, uh, hello there"))
    assert (told["words"], told["fillers"], told["verdict"]) == ([], ["uh"], "comfortable")
    assert feedback.feedback("Hello", [])["pace"] is None
    dashed = [feedback.Word("Well", 0, 0.4), feedback.Word("-", 0.4, 0.5), feedback.Word("yes", 2, 2.4)]
    assert feedback.feedback("", dashed)["pauses"] == [{"after": "well", "seconds": 1.6}]


def test_an_answer_ends_after_two_sentences() -> None:
    assert partner.ended("Hello! How are you?") is None
    assert partner.ended("Hello! How are you? I") == len("Hello! How are you?")

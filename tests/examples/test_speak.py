"""What code tells of a recording in examples/speak, from words and their times."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from examples.speak.feedback import compared, feedback, pace, pauses, plain
from openai.types.audio import TranscriptionWord


def word(text: str, start: float, end: float) -> TranscriptionWord:
    return TranscriptionWord(word=text, start=start, end=end)


def spoken(text: str, gaps: Mapping[int, float] | None = None) -> list[TranscriptionWord]:
    """The words of a text, one after the other, each of 0.4 s; before some of them a gap."""
    words, at = [], 0.0
    for n, one in enumerate(text.split()):
        at += (gaps or {}).get(n, 0.0)
        words.append(word(one, at, at + 0.4))
        at += 0.4
    return words


def test_pace_counts_words_and_not_fillers() -> None:
    assert pace(spoken("one two three four five")) == 150
    assert pace(spoken("one um, two three four")) == 120
    assert pace(spoken("one")) is None
    assert pace([]) is None


def test_a_pause_is_told_by_the_word_before_it() -> None:
    found = pauses(spoken("I would, like tea", gaps={2: 1.2, 3: 0.3}))
    assert found == [{"after": "would", "seconds": 1.2}]


def test_a_word_that_lasts_too_long_hides_a_pause() -> None:
    words = [word("ask", 0, 0.4), word("not", 0.4, 2.4)]
    assert [pause["after"] for pause in pauses(words)] == ["ask"]


@pytest.mark.parametrize(
    ("said", "differ"),
    [
        ("I like green tea.", []),
        ("I like, um, green tea", []),
        ("I like tea", [("green", "")]),
        ("I like black tea", [("green", "black")]),
        ("I really like green tea", [("", "really")]),
    ],
)
def test_words_are_compared_with_the_target(said: str, differ: list[tuple[str, str]]) -> None:
    found = feedback("I like, um, green tea!", spoken(said))["compared"]
    assert [(one["wanted"], one["said"]) for one in found if one["wanted"] != one["said"]] == differ
    assert " ".join(one["wanted"] for one in found if one["wanted"]) == "i like green tea"


def test_nothing_said_is_a_sentence_missed() -> None:
    assert compared(["i", "see"], []) == [{"wanted": "i see", "said": ""}]


def test_apostrophes_of_either_form_are_one() -> None:
    assert plain("I don’t know") == plain("I don't know") == ["i", "don't", "know"]


def test_everything_together() -> None:
    told = feedback("", spoken("well, uh, hello there"))
    assert (told["compared"], told["fillers"], told["verdict"]) == ([], ["uh"], "comfortable")
    assert feedback("Hello", [])["pace"] is None
    dashed = [word("Well", 0, 0.4), word("-", 0.4, 0.5), word("yes", 2, 2.4)]
    assert feedback("", dashed)["pauses"] == [{"after": "well", "seconds": 1.6}]

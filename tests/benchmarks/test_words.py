from __future__ import annotations

import pytest
from benchmarks.words import Difference, differences, error_rate, normalise


def test_english_is_normalised_as_spoken() -> None:
    assert normalise("Mr. Smith's 25 colours, um, aren't!", "en") == "mister smith is 25 colors are not"
    assert normalise("L’accident a « eu » lieu.", "fr") == "l accident a eu lieu"


def test_error_rate_is_over_all_words_together() -> None:
    references = ["one two three four", "five"]
    assert error_rate(references, ["one two three four", "five"], "de") == 0
    # One wrong, one missing and one added of five words: not the mean over the two recordings.
    assert error_rate(references, ["one too three", "five six"], "de") == pytest.approx(3 / 5)


def test_differences_name_both_sides() -> None:
    ours, theirs = (
        "So, my fellow Americans asked what you do now.",
        "And so my fellow Americans ask what you do",
    )
    assert differences(ours, theirs, "en") == [
        Difference(ours="", theirs="and"),
        Difference(ours="asked", theirs="ask"),
        Difference(ours="now", theirs=""),
    ]
    assert differences("Same words.", "same words", "en") == []

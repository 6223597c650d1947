"""Which parts of a pattern may come next."""

from __future__ import annotations

import pytest

from antiphon.grammar.automaton import END, Automaton
from antiphon.grammar.problems import InvalidSchema
from antiphon.grammar.regex import matching


def test_a_text_leads_to_the_end_or_nowhere() -> None:
    automaton = Automaton(matching("^a{2}(b|cd)?$"), 1000)
    for text, ends in {
        "aa": True,
        "aab": True,
        "aacd": True,
        "a": False,
        "aac": False,
        "aabb": False,
    }.items():
        now = {automaton.start}
        for character in text:
            now, _ = automaton.behind(now, character)
        assert (END in automaton.reached(now)) == ends, text


def test_ways_are_counted() -> None:
    automaton = Automaton(matching("^(a|[ab])a?.?$"), 1000)
    assert automaton.behind({automaton.start}, "a")[1] == 2
    assert automaton.behind({automaton.start}, "b")[1] == 1


def test_it_takes_no_more_steps_than_it_may() -> None:
    automaton = Automaton(matching("^(a?){50}$"), 10)
    with pytest.raises(InvalidSchema, match="too large"):
        automaton.behind({automaton.start}, "a")

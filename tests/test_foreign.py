"""How long a prompt is, as well as that is known."""

from __future__ import annotations

from antiphon import foreign, values


def test_what_is_known_of_a_prompt() -> None:
    counted = values.Prompt("a b", (1, 2))
    assert counted.counted and counted.length == counted.longest == 2
    bounded = values.Prompt("", (), about=40, at_most=150)
    assert not bounded.counted and (bounded.length, bounded.longest) == (40, 150)


def test_they_are_values_like_all_others() -> None:
    assert (values.Prompt, values.Site, values.Wish) == (foreign.Prompt, foreign.Site, foreign.Wish)

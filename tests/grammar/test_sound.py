"""Grammars that cannot be used: without an end, in circles, or too large."""

from __future__ import annotations

import pytest

from antiphon.grammar.nodes import Node, Repeat, Rule, Text, choice, optional, sequence
from antiphon.grammar.problems import InvalidSchema
from antiphon.grammar.sound import MOST_AT_ONCE, MOST_ELEMENTS, MOST_REPEATED, reachable

A = Text("a")


def test_only_what_is_needed_is_kept() -> None:
    rules: dict[str, Node] = {"root": Rule("a"), "a": A, "b": Rule("b")}
    assert set(reachable(rules, "root")) == {"root", "a"}


def test_what_refers_to_itself_behind_something_is_sound() -> None:
    nested = sequence(A, optional(Rule("root")), A)
    assert reachable({"root": nested}, "root") == {"root": nested}
    diamond: dict[str, Node] = {"root": choice(Rule("a"), Rule("b")), "a": Rule("c"), "b": Rule("c"), "c": A}
    assert set(reachable(diamond, "root")) == {"root", "a", "b", "c"}


@pytest.mark.parametrize(
    "rules",
    [
        {"root": Rule("root")},
        {"root": sequence(A, Rule("root"))},
        {"root": Rule("a"), "a": choice(sequence(A, Rule("b")), Rule("b")), "b": sequence(A, Rule("a"))},
        {"root": choice(A, sequence(A, Rule("a"))), "a": Repeat(Rule("a"), 1)},
    ],
)
def test_without_an_end(rules: dict[str, Node]) -> None:
    with pytest.raises(InvalidSchema, match="ends"):
        reachable(rules, "root")


@pytest.mark.parametrize(
    "rules",
    [
        {"root": choice(A, Rule("root"))},
        {"root": choice(A, sequence(Rule("a"), A)), "a": optional(Rule("root"))},
        {"root": choice(A, sequence(Repeat(A), Rule("root"), A))},
        {"root": choice(A, sequence(Rule("e"), Rule("root"))), "e": Repeat(A)},
    ],
)
def test_in_circles(rules: dict[str, Node]) -> None:
    with pytest.raises(InvalidSchema, match="back to itself"):
        reachable(rules, "root")


def test_too_large() -> None:
    half = Text("a" * (MOST_ELEMENTS // 2))
    reachable({"root": sequence(half, half)}, "root")
    with pytest.raises(InvalidSchema, match="too large"):
        reachable({"root": sequence(half, half, A)}, "root")
    with pytest.raises(InvalidSchema, match="too large"):
        reachable({"root": Repeat(Repeat(A, 0, 1000), 0, 1000)}, "root")


def test_few_parts_may_come_next() -> None:
    rules: dict[str, Node] = {f"r{n}": Text(f"{n}") for n in range(MOST_AT_ONCE + 1)}
    options = [Rule(name) for name in rules]
    perhaps = sequence(*map(optional, options[1:]))
    for node in (
        choice(*options[1:]),
        sequence(A, choice(*options[1:])),
        sequence(A, perhaps),
        Repeat(perhaps),
    ):
        reachable({**rules, "root": node}, "root")
    for node in (
        choice(*options),
        sequence(A, choice(*options)),
        sequence(A, perhaps, A),
        Repeat(choice(*options)),
    ):
        with pytest.raises(InvalidSchema, match="may come next"):
            reachable({**rules, "root": node}, "root")
    chain: dict[str, Node] = {f"c{n}": choice(A, Rule(f"c{n + 1}")) for n in range(MOST_AT_ONCE)}
    with pytest.raises(InvalidSchema, match="may come next"):
        reachable({**chain, f"c{MOST_AT_ONCE}": A}, "c0")


def test_what_an_engine_would_not_repeat() -> None:
    reachable({"root": Repeat(A, 0, MOST_REPEATED)}, "root")
    inner = sequence(Repeat(A, 0, 50), A)
    reachable({"root": Repeat(inner, 0, 39)}, "root")
    with pytest.raises(InvalidSchema, match="repeated is too large"):
        reachable({"root": Repeat(inner, 0, 40)}, "root")
    many: dict[str, Node] = {f"r{n}": A for n in range(MOST_REPEATED)}
    known = sequence(*map(Rule, many))
    with pytest.raises(InvalidSchema, match="repeated is too large"):
        reachable({"root": optional(known), **many}, "root")
    reachable({"root": sequence(known, optional(known)), **many}, "root")  # which has them already

"""The account of kept blocks: what it says is there, is."""

from __future__ import annotations

import random

from antiphon.workers.chat.prefixes import BLOCK, SHARED, Chain, Prefixes

TEXT = list(range(20 * BLOCK))


def keys(tokens: list[int], number: int = 1) -> list[bytes]:
    return Chain(number).feed(tokens)


def test_a_key_is_of_all_that_came_before() -> None:
    whole = keys(TEXT)
    assert len(whole) == 20 and len(set(whole)) == 20
    assert keys([*TEXT[: 3 * BLOCK], -1, *TEXT[3 * BLOCK + 1 :]])[:3] == whole[:3]
    assert set(keys([-1, *TEXT[1:]])).isdisjoint(whole)
    assert set(keys(TEXT, number=2)).isdisjoint(whole), "another partition's"


def test_a_text_may_come_in_pieces() -> None:
    chain = Chain(1)
    random.seed(0)
    found, at = [], 0
    while at < len(TEXT):
        step = random.randint(1, 3 * BLOCK)
        found += chain.feed(TEXT[at : at + step])
        at += step
    assert found == keys(TEXT)


def test_what_was_computed_is_found_again() -> None:
    prefixes = Prefixes(100)
    assert prefixes.enter(1, keys(TEXT), 21) == 0
    prefixes.computed(1, keys(TEXT))
    prefixes.leave(1)
    other = [*TEXT[: 5 * BLOCK], *range(1000, 1100)]
    assert prefixes.enter(2, keys(other), 10) == 5
    assert prefixes.enter(3, keys(TEXT, number=2), 21) == 0


def test_what_another_computes_is_pending() -> None:
    prefixes = Prefixes(200)
    text = keys(TEXT)
    prefixes.enter(1, text, 21)
    assert prefixes.pending(text) == (text[0], True)
    assert prefixes.pending(keys([*TEXT[: SHARED * BLOCK], 1, 2])) == (text[0], True)
    assert prefixes.pending(keys(TEXT[: SHARED * BLOCK - 1])) == (text[0], False), "too short for a wait"
    assert prefixes.pending(keys(TEXT, number=2)) is None
    prefixes.computed(1, text)
    assert prefixes.pending(text) is None


def test_a_little_of_what_another_computes_is_not_waited_for() -> None:
    prefixes = Prefixes(200)
    text = keys([*TEXT, *range(100 * BLOCK)])
    prefixes.enter(1, text, 121)
    pending = prefixes.pending(keys(TEXT))
    assert pending == (text[0], False)


def test_only_what_is_not_there_yet_is_pending() -> None:
    prefixes = Prefixes(200)
    prefixes.enter(1, keys(TEXT[: 5 * BLOCK]), 6)
    prefixes.computed(1, keys(TEXT[: 5 * BLOCK]))
    assert prefixes.enter(2, keys(TEXT), 21) == 5
    assert prefixes.pending(keys(TEXT)) == (keys(TEXT)[5], True)


def test_whoever_leaves_computes_nothing_any_more() -> None:
    prefixes = Prefixes(100)
    prefixes.enter(1, keys(TEXT), 21)
    prefixes.leave(1)
    assert prefixes.pending(keys(TEXT)) is None and prefixes.fits(100)


def test_the_last_block_of_each_takes_room_as_well() -> None:
    prefixes = Prefixes(50)
    text = keys(TEXT)
    prefixes.enter(0, text, 21)
    prefixes.computed(0, text)
    prefixes.leave(0)
    for number in range(1, 40):
        prefixes.enter(number, [], 1)
        prefixes.leave(number)
    assert prefixes.enter(100, text, 21) == 0


def test_room_is_what_nobody_may_still_need() -> None:
    prefixes = Prefixes(100)
    assert prefixes.fits(100) and not prefixes.fits(101)
    prefixes.enter(1, keys(TEXT), 60)
    assert prefixes.fits(40) and not prefixes.fits(41)
    prefixes.leave(1)
    assert prefixes.fits(100)


def test_what_was_used_longest_ago_is_forgotten_first() -> None:
    prefixes = Prefixes(50)
    texts = [keys([number, *TEXT]) for number in range(3)]
    for number in (0, 1, 0, 2):
        prefixes.enter(number, texts[number], 21)
        prefixes.computed(number, texts[number])
        prefixes.leave(number)
    assert prefixes.enter(10, texts[0], 21) == 20
    assert prefixes.enter(11, texts[1], 21) == 0


def test_it_never_counts_on_more_blocks_than_there_are() -> None:
    """Beside what those who run may still take, there is not room for everything that was computed."""
    prefixes = Prefixes(50)
    text = keys(TEXT)
    prefixes.enter(1, text, 21)
    prefixes.computed(1, text)
    prefixes.leave(1)
    prefixes.enter(2, [], 45)
    assert prefixes.enter(3, text, 1) < 5

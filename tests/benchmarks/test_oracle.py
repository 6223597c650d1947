"""Times that tell something are told from those that tell nothing."""

from __future__ import annotations

from random import Random

from benchmarks.oracle import BAR, WORDS, advantage, auc, prompt


def test_what_is_always_shorter_is_found_and_what_is_equal_is_a_coin() -> None:
    assert auc([1.0, 2.0], [3.0, 4.0]) == 1.0
    assert auc([3.0, 4.0], [1.0, 2.0]) == 0.0
    assert auc([1.0], [1.0]) == 0.5


def test_a_guess_may_go_either_way() -> None:
    chance = Random(1)
    same = [[chance.gauss(1, 0.1) for _ in range(2000)] for _ in range(2)]
    assert advantage({"other's": same[0], "nobody's": same[1]}) < BAR
    slower = [value + 0.1 for value in same[0]]
    assert advantage({"other's": slower, "nobody's": same[1]}) > 0.7


def test_no_two_prompts_begin_alike() -> None:
    chance = Random(2)
    one, other = prompt(chance), prompt(chance)
    assert len(one.split()) == WORDS and one.split()[:5] != other.split()[:5]

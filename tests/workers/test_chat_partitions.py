"""Numbers of partitions: each its own, not to be guessed, and bounded in number."""

from __future__ import annotations

from antiphon.workers.chat.partitions import MOST, Partitions, marked


def test_each_has_its_own() -> None:
    partitions = Partitions()
    numbers = {name: partitions.number(name) for name in ("a", "b", "c")}
    assert len(set(numbers.values())) == 3 and all(0 < number < 2**31 for number in numbers.values())
    assert {name: partitions.number(name) for name in numbers} == numbers


def test_they_cannot_be_guessed() -> None:
    assert len({Partitions().number("a") for _ in range(20)}) == 20


def test_what_belongs_to_nobody_is_shared_with_nobody() -> None:
    partitions = Partitions()
    assert len({partitions.number("") for _ in range(20)}) == 20


def test_the_longest_unused_is_forgotten() -> None:
    partitions = Partitions()
    first, second = partitions.number("0"), partitions.number("1")
    for number in range(2, MOST):
        partitions.number(str(number))
    assert partitions.number("0") == first
    partitions.number("one more")
    assert partitions.number("0") == first and partitions.number("1") != second


def test_the_number_is_above_what_is_computed_with() -> None:
    prompt = [49151, 5, 6]
    changed = marked(prompt, 2**31 - 1)
    assert changed != prompt and max(changed) < 2**63
    assert [token % 2**32 for token in changed] == prompt and prompt == [49151, 5, 6]

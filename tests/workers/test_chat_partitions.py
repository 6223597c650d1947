"""Numbers of partitions: each its own, not to be guessed, bounded; and ways around what is broken."""

from __future__ import annotations

from antiphon.workers.chat.partitions import MOST, Partitions, marked
from antiphon.workers.chat.prefixes import BLOCK

TEXT = list(range(10 * BLOCK))


def number(partitions: Partitions, name: str) -> int:
    return partitions.chain(name, [1])[0].number


def test_each_has_its_own() -> None:
    partitions = Partitions()
    numbers = {name: number(partitions, name) for name in ("a", "b", "c")}
    assert len(set(numbers.values())) == 3 and all(0 < one < 2**31 for one in numbers.values())
    assert {name: number(partitions, name) for name in numbers} == numbers


def test_they_cannot_be_guessed() -> None:
    assert len({number(Partitions(), "a") for _ in range(20)}) == 20


def test_what_belongs_to_nobody_is_shared_with_nobody() -> None:
    partitions = Partitions()
    assert len({number(partitions, "") for _ in range(20)}) == 20


def test_the_longest_unused_is_forgotten() -> None:
    partitions = Partitions()
    first, second = number(partitions, "0"), number(partitions, "1")
    for name in range(2, MOST):
        number(partitions, str(name))
    assert number(partitions, "0") == first
    number(partitions, "one more")
    assert number(partitions, "0") == first and number(partitions, "1") != second


def test_a_block_that_is_avoided_is_never_found_again() -> None:
    partitions = Partitions()
    chain, keys = partitions.chain("a", TEXT)
    changes = partitions.changes
    partitions.avoid(keys[4])
    assert partitions.changes > changes
    other, others = partitions.chain("a", TEXT)
    assert other.number != chain.number and set(others).isdisjoint(keys)
    assert partitions.chain("a", TEXT)[1] == others, "the way around is always the same"
    before = TEXT[: 4 * BLOCK]
    assert partitions.chain("a", before)[1] == keys[:4], "what does not go through it stays"
    partitions.avoid(others[0])
    again = partitions.chain("a", TEXT)[1]
    assert set(again).isdisjoint(keys) and set(again).isdisjoint(others)


def test_a_partition_may_begin_anew() -> None:
    partitions = Partitions()
    first = number(partitions, "a")
    partitions.renew("a")
    partitions.renew("unknown")
    assert number(partitions, "a") != first


def test_what_is_avoided_is_not_forgotten_but_all_begin_anew() -> None:
    partitions = Partitions()
    keys = partitions.chain("a", TEXT)[1]
    for position in range(MOST):
        partitions.avoid(position.to_bytes(16, "big"))
    partitions.avoid(keys[0])
    assert set(partitions.chain("a", TEXT)[1]).isdisjoint(keys)
    other = partitions.chain("a", TEXT[: 2 * BLOCK])[1]
    assert set(other).isdisjoint(keys)


def test_the_number_is_above_what_is_computed_with() -> None:
    prompt = [49151, 5, 6]
    changed = marked(prompt, 2**31 - 1)
    assert changed != prompt and max(changed) < 2**63
    assert [token % 2**32 for token in changed] == prompt and prompt == [49151, 5, 6]

"""A pattern as rules that can be read in one way only: the states of a deterministic automaton.

Subset construction (Rabin and Scott, 1959), and Moore's minimization.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import msgspec

from antiphon.grammar import strings
from antiphon.grammar.automaton import END, Automaton, classes
from antiphon.grammar.nodes import EMPTY, Chars, Choice, Node, Repeat, Rule, Text, choice, sequence
from antiphon.grammar.nodes import Sequence as Parts
from antiphon.grammar.problems import InvalidSchema, Unsupported
from antiphon.grammar.rules import Rules
from antiphon.grammar.strings import Span

MOST_STATES = 1000
_MOST_STEPS = 200_000
"""A fifth of a second."""


class Machine(msgspec.Struct, frozen=True):
    """Where each kind of character leads from each state, the first being 0, and the states that may end.

    `kinds` are the characters of each kind, none of which is of two; what is of none leads nowhere.
    """

    kinds: Sequence[Sequence[Span]]
    moves: Sequence[dict[int, int]]
    ends: frozenset[int]


def in_rules(pattern: Node, rules: Rules) -> Rule:
    """Strings, as JSON has them, of what `pattern` says, in new rules.

    `pattern` has no rules. Raises `InvalidSchema` if it takes too many states.
    """
    machine = minimal(machine_of(pattern))
    states = [rules.add(EMPTY) for _ in machine.moves]
    for number, moves in enumerate(machine.moves):
        spans: defaultdict[int, list[Span]] = defaultdict(list)
        for kind, target in moves.items():
            spans[target] += machine.kinds[kind]
        again = strings.characters(spans.pop(number)) if number in spans else None
        # A loop is no recursion: engines follow that more deeply with every character.
        onward = [sequence(strings.characters(found), states[target]) for target, found in spans.items()]
        if number in machine.ends:
            onward.append(EMPTY)
        rules[states[number].name] = sequence(Repeat(again) if again else EMPTY, choice(*onward))
    return rules.add(sequence(strings.QUOTE, states[0], strings.QUOTE))


def machine_of(pattern: Node) -> Machine:
    """The automaton of a pattern; raises `InvalidSchema`."""
    automaton, kinds = Automaton(pattern, _MOST_STEPS), _kinds(pattern)
    first = frozenset(automaton.reached({automaton.start}))
    numbers, sets, moves = {first: 0}, [first], list[dict[int, int]]()
    while len(moves) < len(sets):
        found = dict[int, int]()
        for kind, spans in enumerate(kinds):
            behind = frozenset(automaton.reached(automaton.behind(sets[len(moves)], chr(spans[0][0]))[0]))
            if behind and behind not in numbers:
                numbers[behind] = len(sets)
                sets.append(behind)
            if behind:
                found[kind] = numbers[behind]
        moves.append(found)
        if len(sets) > MOST_STATES:
            raise InvalidSchema("a 'pattern' can be read in too many ways at once")
    return Machine(kinds, moves, frozenset(number for number, states in enumerate(sets) if END in states))


def minimal(machine: Machine) -> Machine:
    """The same with one state for all that say the same. Raises `Unsupported` if nothing can be written."""
    moves = _living(machine)
    blocks, count = {number: int(number in machine.ends) for number in moves}, 0
    while True:
        names: dict[object, int] = {}
        blocks = {
            number: names.setdefault(
                (blocks[number], *((k, blocks[t]) for k, t in found.items())), len(names)
            )
            for number, found in moves.items()
        }
        if len(names) == count:
            break
        count = len(names)
    merged = {block: {k: blocks[t] for k, t in moves[number].items()} for number, block in blocks.items()}
    return Machine(
        machine.kinds,
        [merged[block] for block in range(count)],
        frozenset(blocks[number] for number in machine.ends),
    )


def _living(machine: Machine) -> dict[int, dict[int, int]]:
    """The moves of the states from which an end can be reached, to such states; the first is the first."""
    living, before = set(machine.ends), 0
    while len(living) > before:
        before = len(living)
        living |= {n for n, found in enumerate(machine.moves) if not living.isdisjoint(found.values())}
    if 0 not in living:
        raise Unsupported("a 'pattern' wants characters that are never written")
    return {n: {k: t for k, t in machine.moves[n].items() if t in living} for n in sorted(living)}


def _kinds(pattern: Node) -> list[list[Span]]:
    """Characters that can be written, those together that no part of the pattern tells apart."""
    parts = [strings.spans(one) for one in {*classes(pattern), *_letters(pattern)}]
    bounds = sorted({bound for spans in parts for first, last in spans for bound in (first, last + 1)})
    kinds: defaultdict[frozenset[int], list[Span]] = defaultdict(list)
    for first, after in zip(bounds, bounds[1:], strict=False):
        of = frozenset(n for n, spans in enumerate(parts) if any(a <= first <= b for a, b in spans))
        if of and strings.writable((first, after - 1)):
            kinds[of].append((first, after - 1))
    return list(kinds.values())


def _letters(node: Node) -> Iterator[Chars]:
    match node:
        case Text(text):
            yield from (Chars(((letter, letter),)) for letter in text)
        case Parts(parts) | Choice(parts):
            for part in parts:
                yield from _letters(part)
        case Repeat(part):
            yield from _letters(part)

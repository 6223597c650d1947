"""Patterns as automata: which parts of one may come next."""

from __future__ import annotations

from collections.abc import Iterator, Set

from antiphon.grammar.nodes import Chars, Choice, Node, Repeat, Sequence, Text
from antiphon.grammar.problems import InvalidSchema

State = tuple[Node, int, int | None, int]
"""What has to come first, for a text from which character on, for a repetition how many times at least and at
most; and the number of the state behind it."""
END = 0
"""The number of the state that ends the pattern."""


def holds(node: Chars, character: str) -> bool:
    return any(first <= character <= last for first, last in node.ranges) is not node.negated


def classes(node: Node) -> Iterator[Chars]:
    """Those of a pattern."""
    match node:
        case Chars():
            yield node
        case Sequence(parts) | Choice(parts):
            for part in parts:
                yield from classes(part)
        case Repeat(part):
            yield from classes(part)


class Automaton:
    """The states of a pattern without rules, by number, each made when it is first met.

    Methods raise `InvalidSchema` once they have taken `steps` in all.
    """

    def __init__(self, pattern: Node, steps: int) -> None:
        self._states: list[State | None] = [None]
        self._numbers: dict[tuple[int, int, int | None, int], int] = {}
        self._left = steps
        self._known: dict[int, set[int]] = {}
        """What is reached from a state without a character."""
        self.places: set[int] = set()
        """Where some class of characters comes next, each part of a repetition for its first time."""
        self._collect(pattern, END)
        self.start = self._state(pattern, END)

    def _collect(self, node: Node, behind: int) -> None:
        match node:
            case Sequence(parts):
                for part in reversed(parts):
                    self._collect(part, behind)
                    behind = self._state(part, behind)
            case Choice(options):
                self.places.add(self._state(node, behind))
                for option in options:
                    self._collect(option, behind)
            case Repeat(part, least, most):
                self.places.add(self._state(node, behind))
                self._collect(part, self._once_more(node, least, most, behind))
            case Chars():
                self.places.add(self._state(node, behind))

    def _state(self, node: Node, behind: int) -> int:
        match node:
            case Sequence(parts):
                for part in reversed(parts):
                    behind = self._state(part, behind)
                return behind
            case Repeat(_, least, most):
                return self._numbered(node, least, most, behind)
            case _:
                return self._numbered(node, 0, None, behind)

    def _numbered(self, node: Node, at: int, most: int | None, behind: int) -> int:
        key = (id(node), at, most, behind)
        if key not in self._numbers:
            self._numbers[key] = len(self._states)
            self._states.append((node, at, most, behind))
        return self._numbers[key]

    def _once_more(self, node: Node, least: int, most: int | None, behind: int) -> int:
        """The state of a repetition whose part has come once."""
        return self._numbered(node, max(0, least - 1), None if most is None else most - 1, behind)

    def behind(self, now: Set[int], character: str) -> tuple[set[int], int]:
        """The states behind a character, and in how many ways it could be read."""
        found = [behind for number in self.reached(now) for behind in self._read(number, character)]
        return set(found), len(found)

    def reached(self, now: Set[int]) -> set[int]:
        """These states and those that are reached from them without a character."""
        return set().union(*map(self._reached, now))

    def _reached(self, number: int) -> set[int]:
        if number not in self._known:
            found, waiting = {number}, [number]
            while waiting:
                for behind in self._passed(waiting.pop()):
                    if behind not in found:
                        found.add(behind)
                        waiting.append(behind)
            self._known[number] = found
        return self._known[number]

    def _passed(self, number: int) -> Iterator[int]:
        """The states that follow without a character."""
        state = self._looked_at(number)
        if state is None:
            return
        node, at, most, behind = state
        match node:
            case Text(text):
                if at >= len(text):
                    yield behind
            case Choice(options):
                for option in options:
                    yield self._state(option, behind)
            case Repeat(part):
                if most != 0:
                    yield self._state(part, self._once_more(node, at, most, behind))
                if at == 0:
                    yield behind

    def _read(self, number: int, character: str) -> Iterator[int]:
        """The states that follow once it is read."""
        state = self._looked_at(number)
        if state is None:
            return
        node, at, _, behind = state
        match node:
            case Text(text):
                if text[at : at + 1] == character:
                    yield behind if at + 1 == len(text) else self._numbered(node, at + 1, None, behind)
            case Chars():
                if holds(node, character):
                    yield behind

    def _looked_at(self, number: int) -> State | None:
        self._left -= 1
        if self._left < 0:
            raise InvalidSchema("a 'pattern' is too large")
        return self._states[number]

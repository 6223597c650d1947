"""In how many ways an engine has to follow a pattern at once.

Where a text can be divided among the parts of a pattern in many ways, as in `(.{0,9}a?){0,9}`, engines follow
all of them, for each token of their vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from string import printable

from antiphon.grammar.nodes import Chars, Choice, Node, Repeat, Sequence, Text
from antiphon.grammar.problems import InvalidSchema

_PROBES = "eta0 ._E"
_OTHERS = _PROBES + printable
"""Characters of many tokens, those of most first."""
_LONGEST = 16
"""Characters of a token, as far as it matters."""
_MOST_STEPS = 50_000
"""That are tried in all: a tenth of a second."""

State = tuple[Node, int, int | None, int]
"""What has to come first, for a text from which character on, for a repetition how many times at least and at
most; and the number of the state behind it."""
_END = 0


def ways(pattern: Node) -> int:
    """The most at any place, as far as texts of one character, again and again, can tell.

    `pattern` has no rules. Raises `InvalidSchema` if it is too large to tell.
    """
    automaton = _Automaton(pattern)
    probes = {*_PROBES, *(next(filter(partial(_of, node), _OTHERS), "") for node in _classes(pattern))}
    return max((automaton.follow(start, probe) for start in automaton.places for probe in probes), default=0)


def _classes(node: Node) -> Iterator[Chars]:
    match node:
        case Chars():
            yield node
        case Sequence(parts) | Choice(parts):
            for part in parts:
                yield from _classes(part)
        case Repeat(part):
            yield from _classes(part)


def _of(node: Chars, character: str) -> bool:
    return any(first <= character <= last for first, last in node.ranges) is not node.negated


class _Automaton:
    """States by number, each made when it is first met."""

    def __init__(self, pattern: Node) -> None:
        self._states: list[State | None] = [None]
        self._numbers: dict[tuple[int, int, int | None, int], int] = {}
        self._steps = 0
        self.places: set[int] = set()
        """Where some class of characters comes next, each part of a repetition for its first time."""
        self._collect(pattern, _END)

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

    def follow(self, start: int, character: str) -> int:
        """The most ways at once, if that character comes again and again."""
        most, now = 0, {start}
        for _ in range(_LONGEST):
            now, found = self._behind(now, character)
            most = max(most, found)
            if not now:
                break
        return most

    def _behind(self, now: set[int], character: str) -> tuple[set[int], int]:
        """The states behind a character, and in how many ways it could be read."""
        found, seen, waiting, read = set[int](), set(now), list(now), 0
        while waiting:
            self._steps += 1
            if self._steps > _MOST_STEPS:
                raise InvalidSchema("a 'pattern' is too large")
            state = self._states[waiting.pop()]
            if state is None:
                continue
            for next_one, reads in self._from(state, character):
                if reads:
                    read += 1
                    found.add(next_one)
                elif next_one not in seen:
                    seen.add(next_one)
                    waiting.append(next_one)
        return found, read

    def _from(self, state: State, character: str) -> Iterator[tuple[int, bool]]:
        """The states that follow, and whether the character is read on the way."""
        node, at, most, behind = state
        match node:
            case Text(text):
                if at >= len(text):
                    yield behind, False
                elif text[at] == character:
                    yield (
                        (behind if at + 1 == len(text) else self._numbered(node, at + 1, None, behind)),
                        True,
                    )
            case Chars():
                if _of(node, character):
                    yield behind, True
            case Choice(options):
                for option in options:
                    yield self._state(option, behind), False
            case Repeat(part):
                if most != 0:
                    yield self._state(part, self._once_more(node, at, most, behind)), False
                if at == 0:
                    yield behind, False

"""The rules of a grammar while it is made. What is said again, and what is repeated, is one rule: an engine
reads it once, however often it is referred to."""

from __future__ import annotations

from collections.abc import Mapping

from antiphon.grammar.nodes import EMPTY, Choice, Node, Repeat, Rule, Sequence, Text, optional, sequence
from antiphon.grammar.problems import InvalidSchema

MOST_RULES = 5000
BLOCK = 8
"""Parts that are counted together where there are many."""


class Rules(dict[str, Node]):
    """By name. Every method that makes one raises `InvalidSchema` beyond `MOST_RULES`."""

    def __init__(self, known: Mapping[str, Node]) -> None:
        super().__init__(known)
        self._shared: dict[Node, Rule] = {}

    def add(self, node: Node) -> Rule:
        """A rule that says the same as the node."""
        if isinstance(node, Rule):
            return node
        if len(self) >= MOST_RULES:
            raise InvalidSchema("it is too large")
        name = f"r{len(self)}"
        self[name] = node
        return Rule(name)

    def shared(self, node: Node) -> Rule:
        """As `add`: the same rule for the same node."""
        if node not in self._shared:
            self._shared[node] = self.add(node)
        return self._shared[node]

    def compact(self, node: Node) -> Node:
        """The same texts, with everything that is counted as rules."""
        match node:
            case Sequence(parts):
                return sequence(*map(self.compact, parts))
            case Choice(options):
                return Choice(tuple(map(self.compact, options)))
            case Repeat(part, least, most):
                inner = self.compact(part)
                counted = max(least, most or 0) > 1
                return self.repeated(inner, least, most) if counted else Repeat(inner, least, most)
            case _:
                return node

    def repeated(self, part: Node, least: int, most: int | None) -> Node:
        """A part so many times; of many it takes blocks.

        xgrammar goes through every count at each token, and reads a part anew for each time that may be the
        last: with blocks, and the rest as a chain of rules, it takes a hundredth of the time.
        """
        part = part if isinstance(part, Text) else self.shared(part)
        begin = self._exactly(part, least)
        if most is None:
            return sequence(begin, Repeat(part))
        # However many parts there are, some number of blocks leaves few enough of them.
        more = most - least
        blocks = max(0, more - BLOCK + 1) // BLOCK
        several = Repeat(self.shared(Repeat(part, BLOCK, BLOCK)), 0, blocks) if blocks else EMPTY
        return sequence(begin, several, self._up_to(part, more - blocks * BLOCK))

    def _exactly(self, part: Node, times: int) -> Node:
        blocks, rest = divmod(times, BLOCK) if times > 2 * BLOCK else (0, times)
        several = Repeat(self.shared(Repeat(part, BLOCK, BLOCK)), blocks, blocks) if blocks else EMPTY
        return sequence(several, part if rest == 1 else Repeat(part, rest, rest) if rest else EMPTY)

    def _up_to(self, part: Node, most: int) -> Node:
        chain: Node = EMPTY
        for _ in range(most):
            chain = self.shared(optional(sequence(part, chain)))
        return chain

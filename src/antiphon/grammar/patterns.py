"""The patterns of one grammar's strings: each is read once, and none that would hold an engine up."""

from __future__ import annotations

from itertools import islice

from antiphon.grammar import deterministic, regex, strings
from antiphon.grammar.cost import cost
from antiphon.grammar.nodes import Rule
from antiphon.grammar.rules import Rules
from antiphon.grammar.ways import ways

MOST_WAYS = 8
"""That a text can be divided among the parts of a pattern: each token takes the longer. Patterns of more are
said in another form."""
_FREE_WAYS = 4
"""That an engine follows at once in no more time; so many times as many take the square of it."""


class Patterns:
    """Makes rules of them in `rules`."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._known: dict[str, Rule] = {}
        self.surcharge = 0.0
        """What they cost beyond their rules (`cost`), because of the many ways in which they can be read."""

    def __contains__(self, pattern: str) -> bool:
        """Whether it has been read."""
        return pattern in self._known

    def rule(self, pattern: str) -> Rule:
        """Strings in which it is found. Raises `Unsupported`, and `InvalidSchema` if it is too large."""
        if pattern not in self._known:
            before = len(self._rules)
            matching = regex.matching(pattern)
            if (found := ways(matching)) > MOST_WAYS:
                found, self._known[pattern] = 1, deterministic.in_rules(matching, self._rules)
            else:
                self._known[pattern] = self._rules.shared(self._rules.compact(strings.quoted(matching)))
            times = (found / _FREE_WAYS) ** 2
            made = islice(self._rules.values(), before, None)
            self.surcharge += max(0.0, times - 1) * sum(cost(node, self._rules) for node in made)
        return self._known[pattern]

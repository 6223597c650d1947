"""In how many ways an engine has to follow a pattern at once.

Where a text can be divided among the parts of a pattern in many ways, as in `(.{0,9}a?){0,9}`, engines follow
all of them, for each token of their vocabulary.
"""

from __future__ import annotations

from functools import partial
from string import printable

from antiphon.grammar.automaton import Automaton, classes, holds
from antiphon.grammar.nodes import Node

_PROBES = "eta0 ._E"
_OTHERS = _PROBES + printable
"""Characters of many tokens, those of most first."""
_LONGEST = 16
"""Characters of a token, as far as it matters."""
_MOST_STEPS = 100_000
"""That are tried in all: a tenth of a second."""


def ways(pattern: Node) -> int:
    """The most at any place, as far as texts of one character, again and again, can tell.

    `pattern` has no rules. Raises `InvalidSchema` if it is too large to tell.
    """
    automaton = Automaton(pattern, _MOST_STEPS)
    probes = {*_PROBES, *(next(filter(partial(holds, node), _OTHERS), "") for node in classes(pattern))}
    probes.discard("")
    return max(
        (_follow(automaton, start, probe) for start in automaton.places for probe in probes), default=0
    )


def _follow(automaton: Automaton, start: int, character: str) -> int:
    """The most ways at once, if that character comes again and again."""
    most, now = 0, {start}
    for _ in range(_LONGEST):
        now, found = automaton.behind(now, character)
        most = max(most, found)
        if not now:
            break
    return most

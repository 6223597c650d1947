"""How long xgrammar takes to read a grammar, while all its other answers wait.

It asks of every place of every rule which tokens may come next. Measured with the bundled model's vocabulary
on two cores of AVX2, any character at one place takes 22 ms of processor time, a digit 1 ms.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from antiphon.grammar.nodes import Chars, Choice, Node, Repeat, Rule, Sequence, Text

MOST_COST = 64.0
"""1.4 seconds of processor time, in places of any character."""
_OF_TEXT = 0.0006
_OF_COUNT, _MOST_COUNTED = 0.008, 128
"""Of each time that something may come or not; of more it only keeps the number."""
_BEHIND = 2
"""How much more it is where other parts stand before it in the same sequence."""
_LEAST = 0.0005
_SHARES = (("a", "z", 0.3), ("A", "Z", 0.1), ("!", "/", 0.15), (" ", " ", 0.3), ("\x7f", "\U0010ffff", 0.15))
"""About how many of all tokens consist of such characters, or have them first."""


def cost(node: Node, rules: Mapping[str, Node], weight: int = 1) -> float:
    """Of one of the rules. A rule that begins a sequence is read with it, if it needs no others."""
    match node:
        case Text(text):
            return len(text) * _OF_TEXT
        case Chars():
            return _share(node) * weight
        case Rule(name):
            return 0.0 if _refers(rules[name]) else cost(rules[name], rules, weight)
        case Sequence(parts):
            rest = (part for part in parts[1:] if not isinstance(part, Rule))
            return cost(parts[0], rules, weight) + sum(cost(part, rules, _BEHIND) for part in rest)
        case Choice(options):
            return sum(cost(option, rules, weight) for option in options)
        case Repeat(part, least, most):
            counted = min(_MOST_COUNTED, (most or 0) - least)
            return cost(part, rules, weight) + _OF_COUNT * max(0, counted - 1)


def _refers(node: Node) -> bool:
    """Whether other rules are needed for it."""
    match node:
        case Rule():
            return True
        case Sequence(parts) | Choice(parts):
            return any(map(_refers, parts))
        case Repeat(part):
            return _refers(part)
        case _:
            return False


def _share(node: Chars) -> float:
    found = sum(share * _covered(node.ranges, first, last) for first, last, share in _SHARES)
    return _LEAST + (sum(share for *_, share in _SHARES) - found if node.negated else found)


def _covered(ranges: Iterable[tuple[str, str]], first: str, last: str) -> float:
    """The part of the characters from `first` to `last` that is in the ranges."""
    within = sum(max(0, min(ord(b), ord(last)) - max(ord(a), ord(first)) + 1) for a, b in ranges)
    return min(1.0, within / (ord(last) - ord(first) + 1))

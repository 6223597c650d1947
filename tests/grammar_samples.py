"""Texts of a grammar, drawn at random, and which texts are of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from random import Random

from antiphon.grammar.nodes import Chars, Choice, Node, Repeat, Rule, Sequence, Text

SHALLOW, DEEP = 8, 20
"""Rules within rules from which few, and then the shortest, are taken."""
OTHERS = "aZ0 -_é日\U0001f600\n"
"""What a class of all but a few may be tried with."""


def sample(node: Node, rules: Mapping[str, Node], chance: Random, depth: int = 0) -> str:
    """One text. What refers to itself comes to an end: at last the shortest options are taken."""
    match node:
        case Text(text):
            return text
        case Chars(ranges, negated):
            if negated:
                return chance.choice([c for c in OTHERS if not any(a <= c <= b for a, b in ranges)])
            first, last = chance.choice(ranges)
            return chr(chance.randint(ord(first), min(ord(last), ord(first) + 300)))
        case Rule(name):
            return sample(rules[name], rules, chance, depth + 1)
        case Sequence(parts):
            return "".join(sample(part, rules, chance, depth) for part in parts)
        case Choice(options):
            chosen = chance.choice(options) if depth < DEEP else min(options, key=_weight)
            return sample(chosen, rules, chance, depth)
        case Repeat(part, least, most):
            more = 0 if depth >= SHALLOW else 3
            times = chance.randint(least, min(least + more, least + more if most is None else most))
            return "".join(sample(part, rules, chance, depth) for _ in range(times))


def _weight(node: Node) -> int:
    """How far a node may lead: rules count for much."""
    match node:
        case Rule():
            return 100
        case Sequence(parts) | Choice(parts):
            return sum(map(_weight, parts))
        case Repeat(part, least):
            return least * _weight(part)
        case _:
            return 1


def expression(node: Node) -> re.Pattern[str]:
    """What a node without rules says, as a regular expression."""
    return re.compile(_expression(node), re.DOTALL)


def _expression(node: Node) -> str:
    match node:
        case Text(text):
            return re.escape(text)
        case Chars(ranges, negated):
            inside = "".join(f"\\U{ord(a):08x}-\\U{ord(b):08x}" for a, b in ranges)
            return f"[{'^' if negated else ''}{inside}]" if inside else "."
        case Sequence(parts):
            return "".join(f"(?:{_expression(part)})" for part in parts)
        case Choice(options):
            return "|".join(f"(?:{_expression(option)})" for option in options)
        case Repeat(part, least, most):
            return f"(?:{_expression(part)}){{{least},{'' if most is None else most}}}"
        case Rule(name):
            raise AssertionError(f"a rule: {name}")

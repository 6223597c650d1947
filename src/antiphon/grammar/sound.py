"""Whether a grammar can be used: it ends, it does not go in circles, and it is not too large."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from antiphon.grammar.nodes import Choice, Node, Repeat, Rule, Sequence, Text
from antiphon.grammar.problems import InvalidSchema

MOST_ELEMENTS = 100_000
"""Elements once every repetition is written out, as engines do."""
MOST_AT_ONCE = 256
"""What may come next, at most: engines try each of it with every token of the vocabulary, and others wait."""
MOST_REPEATED = 2000
"""Rules that a repetition may be written out to; those of llama.cpp."""


def reachable(rules: Mapping[str, Node], root: str) -> dict[str, Node]:
    """The rules that a text can need. Raises `InvalidSchema` for a grammar that cannot be used."""
    needed: dict[str, Node] = {}
    waiting = [root]
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed[name] = rules[name]
            waiting += _named(rules[name])
    if sum(map(_elements, needed.values())) > MOST_ELEMENTS:
        raise InvalidSchema("it is too large")
    seen: set[str] = set()
    for name, node in needed.items():
        seen.add(name)
        _written_out(node, seen)
    if len(_closed(needed, _ends)) < len(needed):
        raise InvalidSchema("a part of it has no value that ends")
    empty = _closed(needed, _empties)
    widths = {name: 0 for name in needed}
    for name in _inside_out(needed, empty):
        widths[name] = _width(needed[name], widths, empty)
    if any(_widest(node, widths, empty) > MOST_AT_ONCE for node in needed.values()):
        raise InvalidSchema(f"more than {MOST_AT_ONCE} parts of it may come next at one place")
    return needed


def _named(node: Node) -> Iterator[str]:
    match node:
        case Rule(name):
            yield name
        case Sequence(parts) | Choice(parts):
            for part in parts:
                yield from _named(part)
        case Repeat(part):
            yield from _named(part)


def _elements(node: Node) -> int:
    match node:
        case Text(text):
            return len(text)
        case Sequence(parts) | Choice(parts):
            return sum(map(_elements, parts))
        case Repeat(part, least, most):
            return _elements(part) * max(1, least, most or 1)
        case _:
            return 1


def _written_out(node: Node, seen: set[str]) -> int:
    """How many rules llama.cpp makes of a node that stands beside others, in the order in which it reads.

    Raises `InvalidSchema` for a repetition that it refuses, which would be told as a failure of the engine.
    """
    match node:
        case Rule(name):
            new = name not in seen
            seen.add(name)
            return int(new)
        case Sequence(parts) | Choice(parts):
            return 1 + sum(_written_out(part, seen) for part in parts)
        case Repeat(part, least, most):
            inside = _written_out(part, seen) + isinstance(part, Repeat)
            if max(1, inside) * (most or least or 1) > MOST_REPEATED:
                raise InvalidSchema("a part of it that is repeated is too large")
            return inside + (1 if most is None else most - least)
        case _:
            return 0


def _closed(rules: Mapping[str, Node], holds: Callable[[Node, set[str]], bool]) -> set[str]:
    """The rules for which something holds, where that of one may follow from that of others."""
    # There may be many options: each is looked at for itself, again only where what it names is found.
    options = [
        (name, option)
        for name, node in rules.items()
        for option in (node.options if isinstance(node, Choice) else (node,))
    ]
    users: dict[str, list[int]] = {name: [] for name in rules}
    for index, (_, option) in enumerate(options):
        for used in _named(option):
            users[used].append(index)
    found: set[str] = set()
    waiting = list(range(len(options)))
    while waiting:
        name, option = options[waiting.pop()]
        if name not in found and holds(option, found):
            found.add(name)
            waiting += users[name]
    return found


def _ends(node: Node, known: set[str]) -> bool:
    """Whether a finite text is of it. Where that holds for every rule, whatever was begun can be ended."""
    match node:
        case Rule(name):
            return name in known
        case Sequence(parts):
            return all(_ends(part, known) for part in parts)
        case Choice(options):
            return any(_ends(option, known) for option in options)
        case Repeat(part, least):
            return least == 0 or _ends(part, known)
        case _:
            return True


def _empties(node: Node, known: set[str]) -> bool:
    """Whether the empty text is of it."""
    match node:
        case Text(text):
            return not text
        case Repeat(part, least):
            return least == 0 or _empties(part, known)
        case Rule(name):
            return name in known
        case Sequence(parts):
            return all(_empties(part, known) for part in parts)
        case Choice(options):
            return any(_empties(option, known) for option in options)
        case _:
            return False


def _inside_out(rules: Mapping[str, Node], empty: set[str]) -> Iterator[str]:
    """The rules, each after those with which it begins. One that begins with itself has no end: refused."""
    begins = {name: set(_first(node, empty)) for name, node in rules.items()}
    done: set[str] = set()
    for start in rules:
        path, waiting = set[str](), [(start, False)]
        while waiting:
            name, left = waiting.pop()
            if left:
                path.discard(name)
                done.add(name)
                yield name
            elif name in path:
                raise InvalidSchema("a '$ref' leads back to itself")
            elif name not in done:
                path.add(name)
                waiting.append((name, True))
                waiting += [(one, False) for one in begins[name]]


def _first(node: Node, empty: set[str]) -> Iterator[str]:
    """The rules with which a text of it may begin."""
    match node:
        case Rule(name):
            yield name
        case Repeat(part):
            yield from _first(part, empty)
        case Choice(options):
            for option in options:
                yield from _first(option, empty)
        case Sequence(parts):
            for part in parts:
                yield from _first(part, empty)
                if not _empties(part, empty):
                    return


def _width(node: Node, widths: Mapping[str, int], empty: set[str]) -> int:
    """How many parts a text of it may begin with; `widths` are those of the rules."""
    match node:
        case Rule(name):
            return widths[name]
        case Repeat(part):
            return _width(part, widths, empty)
        case Choice(options):
            return sum(_width(option, widths, empty) for option in options)
        case Sequence(parts):
            width = 0
            for part in parts:
                width += _width(part, widths, empty)
                if not _empties(part, empty):
                    break
            return width
        case _:
            return 1


def _widest(node: Node, widths: Mapping[str, int], empty: set[str]) -> int:
    """The most parts that may come next anywhere in it."""
    match node:
        case Repeat(part):
            return _widest(part, widths, empty)
        case Choice(options):
            return max(_width(node, widths, empty), *(_widest(one, widths, empty) for one in options))
        case Sequence(parts):
            inner = max(_widest(part, widths, empty) for part in parts)
            starts = (n for n, part in enumerate(parts) if n == 0 or _empties(part, empty))
            return max(inner, *(_width(Sequence(parts[n:]), widths, empty) for n in starts))
        case _:
            return _width(node, widths, empty)

"""Strings as JSON writes them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from antiphon.grammar.nodes import Chars, Choice, Node, Repeat, Rule, Sequence, Text, choice, sequence
from antiphon.grammar.problems import Unsupported

QUOTE = Text('"')
_FIRST, _LAST = 0x20, 0x10FFFF
_SURROGATES = (0xD800, 0xDFFF)
_ESCAPED = {character: json.dumps(character)[1:-1] for character in '"\\\n\t'}
"""Other control characters are never written: whoever may write them need not."""

Span = tuple[int, int]


def literal(value: Any) -> Node:
    """Exactly this value, as all of ours are written: `": "` and `", "`, and no needless escapes."""
    return Text(json.dumps(value, ensure_ascii=False, separators=(", ", ": ")))


def quoted(inside: Node) -> Node:
    """A string that is what `inside` says of its characters."""
    return sequence(QUOTE, in_json(inside), QUOTE)


def in_json(node: Node) -> Node:
    """The same text with its characters escaped where JSON wants it."""
    match node:
        case Text(text):
            return Text("".join(json.dumps(character, ensure_ascii=False)[1:-1] for character in text))
        case Chars():
            return characters(spans(node))
        case Sequence(parts):
            return sequence(*map(in_json, parts))
        case Choice(options):
            return choice(*map(in_json, options))
        case Repeat(part, least, most):
            return Repeat(in_json(part), least, most)
        case Rule():
            return node


def spans(node: Chars) -> list[Span]:
    """Its characters, by number, in order."""
    return _complement(node.ranges) if node.negated else _merged(_spans(node.ranges))


def writable(span: Span) -> bool:
    """Whether any of these characters is ever written."""
    return span[1] >= _FIRST or any(span[0] <= ord(character) <= span[1] for character in _ESCAPED)


def characters(spans: Iterable[Span]) -> Node:
    """One of these characters, as JSON has it. Raises `Unsupported` if none of them is ever written."""
    plain: list[tuple[str, str]] = []
    escaped: list[Node] = []
    for first, last in spans:
        escaped += [Text(text) for char, text in _ESCAPED.items() if first <= ord(char) <= last]
        for begin, end in _without(first, last, [ord('"'), ord("\\")]):
            if max(begin, _FIRST) <= end:
                plain.append((chr(max(begin, _FIRST)), chr(end)))
    if not plain and not escaped:
        raise Unsupported("a class has nothing but control characters")
    return choice(*([Chars(tuple(plain))] if plain else []), *escaped)


def _spans(ranges: Iterable[tuple[str, str]]) -> list[Span]:
    return _merged((ord(first), ord(last)) for first, last in ranges)


def _complement(ranges: Iterable[tuple[str, str]]) -> list[Span]:
    found, at = [], 0
    for first, last in _merged([*_spans(ranges), _SURROGATES]):
        if at < first:
            found.append((at, first - 1))
        at = last + 1
    return [*found, (at, _LAST)] if at <= _LAST else found


def _merged(spans: Iterable[Span]) -> list[Span]:
    found: list[Span] = []
    for first, last in sorted(spans):
        if found and first <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(found[-1][1], last)
        else:
            found.append((first, last))
    return found


def _without(first: int, last: int, holes: Iterable[int]) -> Iterator[Span]:
    for hole in holes:
        if first <= hole <= last:
            if first < hole:
                yield first, hole - 1
            first = hole + 1
    if first <= last:
        yield first, last


CHARACTER = in_json(Chars((), negated=True))
STRING = sequence(QUOTE, Repeat(CHARACTER), QUOTE)

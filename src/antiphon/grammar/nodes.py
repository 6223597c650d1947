"""Grammars as values, and their text in GBNF: what llama.cpp and xgrammar (OpenVINO) read alike."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from os.path import commonprefix

import msgspec


class Text(msgspec.Struct, frozen=True):
    """Exactly these characters."""

    text: str


class Chars(msgspec.Struct, frozen=True):
    """One character of these ranges, first and last included; or of none of them."""

    ranges: tuple[tuple[str, str], ...]
    negated: bool = False


class Sequence(msgspec.Struct, frozen=True):
    parts: tuple[Node, ...]


class Choice(msgspec.Struct, frozen=True):
    options: tuple[Node, ...]


class Repeat(msgspec.Struct, frozen=True):
    """`least` times at least; `most` times at most, if that is bounded."""

    part: Node
    least: int = 0
    most: int | None = None


class Rule(msgspec.Struct, frozen=True):
    """Whatever the rule of that name says."""

    name: str


Node = Text | Chars | Sequence | Choice | Repeat | Rule
EMPTY = Text("")
_MANY_TEXTS, _DEEPEST_BRANCH = 8, 32
_CONTROLS = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_BEFORE_DIGITS = re.compile(r"(?<=[^ -~])(?=[0-9A-Fa-f])")
_MARKS = "-^"
"""What has a meaning in a class; llama.cpp does not know them escaped."""


class Grammar(msgspec.Struct, frozen=True):
    """Rules by name, made of letters, digits and hyphens; one is `root`."""

    rules: Mapping[str, Node]

    def gbnf(self) -> str:
        """Its text, `root` first."""
        names = ["root", *(name for name in self.rules if name != "root")]
        return "".join(f"{name} ::= {_written(self.rules[name])}\n" for name in names)


def sequence(*parts: Node) -> Node:
    """The parts one after the other; what is empty is left out."""
    flat = tuple(_flat(parts))
    return flat[0] if len(flat) == 1 else Sequence(flat) if flat else EMPTY


def choice(*options: Node) -> Node:
    """One of them; those that say the same are one, and the empty one makes the others optional."""
    distinct = tuple(option for option in dict.fromkeys(options) if option != EMPTY)
    texts = sorted(option.text for option in distinct if isinstance(option, Text))
    if len(texts) > _MANY_TEXTS:
        others = tuple(option for option in distinct if not isinstance(option, Text))
        distinct = (*_branches(texts, 0, 0), *others)
    if not distinct:
        return EMPTY
    found = distinct[0] if len(distinct) == 1 else Choice(distinct)
    return found if EMPTY not in options else optional(found)


def _branches(texts: list[str], at: int, depth: int) -> list[Node]:
    """The rests of sorted texts from `at` on, those that begin alike as one that branches later.

    An engine follows all options that are still possible at once, and is slow where these are many.
    """
    if depth == _DEEPEST_BRANCH:
        return [Text(text[at:]) for text in texts]
    options: list[Node] = []
    for _, group in groupby(texts, key=lambda text: text[at : at + 1]):
        alike = list(group)
        end = len(commonprefix([alike[0], alike[-1]]))
        rests = _branches(alike, end, depth + 1) if len(alike) > 1 else []
        options.append(sequence(Text(alike[0][at:end]), _chosen(rests)) if rests else Text(alike[0][at:]))
    return options


def _chosen(options: list[Node]) -> Node:
    """As `choice`, of options that begin differently; the first may be empty."""
    given = tuple(option for option in options if option != EMPTY)
    found = given[0] if len(given) == 1 else Choice(given)
    return found if len(given) == len(options) else optional(found)


def optional(part: Node) -> Node:
    return Repeat(part, 0, 1)


def _flat(parts: tuple[Node, ...]) -> Iterator[Node]:
    for part in parts:
        if isinstance(part, Sequence):
            yield from _flat(part.parts)
        elif part != EMPTY:
            yield part


def _written(node: Node, inner: bool = False) -> str:
    """A node as text; `inner` where it stands beside others."""
    match node:
        case Text(text):
            return _quoted(text, inner)
        case Chars(ranges, negated):
            return f"[{'^' if negated else ''}{_in_class(ranges)}]"
        case Rule(name):
            return name
        case Sequence(parts):
            text = " ".join(_written(part, inner=True) for part in parts)
            return f"({text})" if inner else text
        case Choice(options):
            text = " | ".join(_written(option, inner=True) for option in options)
            return f"({text})" if inner else text
        case Repeat(part, least, most):
            written = _written(part, inner=True)
            if isinstance(part, Repeat):
                written = f"({written})"
            return written + _times(least, most)


def _times(least: int, most: int | None) -> str:
    match least, most:
        case 0, None:
            return "*"
        case 1, None:
            return "+"
        case 0, 1:
            return "?"
        case _:
            return f"{{{least}}}" if least == most else f"{{{least},{'' if most is None else most}}}"


def _quoted(text: str, inner: bool) -> str:
    """In several strings where a digit stands behind a letter beyond ASCII.

    xgrammar keeps such letters as numbers that have no end, and takes the digits behind them for theirs.
    """
    strings = " ".join(f'"{"".join(map(_escaped, piece))}"' for piece in _BEFORE_DIGITS.split(text))
    return f"({strings})" if inner and '" "' in strings else strings


def _escaped(character: str) -> str:
    return f"\\{character}" if character in '"\\' else _CONTROLS.get(character, character)


def _in_class(ranges: Iterable[tuple[str, str]]) -> str:
    """The inside of a class: what is or becomes a number stands at its end, where no digit follows it."""
    marks = [mark for mark in _MARKS if any(first <= mark <= last for first, last in ranges)]
    spans = sorted((span for one in ranges for span in _between_marks(*one)), key=itemgetter(1))
    written = (_member(low) if low == high else f"{_member(low)}-{_member(high)}" for low, high in spans)
    return "".join([*written, *(f"\\u{ord(mark):04X}" for mark in marks)])


def _between_marks(first: str, last: str) -> Iterator[tuple[str, str]]:
    for mark in _MARKS:
        if first <= mark <= last:
            if first < mark:
                yield first, chr(ord(mark) - 1)
            first = chr(ord(mark) + 1)
    if first <= last:
        yield first, last


def _member(character: str) -> str:
    return f"\\{character}" if character in "[]\\" else _CONTROLS.get(character, character)

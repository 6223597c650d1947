"""Regular expressions of JSON schemas (the common part of ECMA 262), as grammars of what they match.

Everything that a grammar cannot say, such as a look-ahead or a back-reference, raises `Unsupported`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from string import hexdigits

from antiphon.grammar.nodes import EMPTY, Chars, Choice, Node, Repeat, Sequence, Text, choice, sequence
from antiphon.grammar.problems import Unsupported

Ranges = tuple[tuple[str, str], ...]

_DIGITS: Ranges = (("0", "9"),)
_WORD: Ranges = (("0", "9"), ("A", "Z"), ("_", "_"), ("a", "z"))
_SPACE: Ranges = (("\t", "\r"), (" ", " "))
_ANY_SPACE: Ranges = (
    *_SPACE, ("\x85", "\x85"), ("\u00a0", "\u00a0"), ("\u1680", "\u1680"), ("\u2000", "\u200a"),
    ("\u2028", "\u2029"), ("\u202f", "\u202f"), ("\u205f", "\u205f"), ("\u3000", "\u3000"),
    ("\ufeff", "\ufeff"),
)  # fmt: skip
_CLASSES = {"d": _DIGITS, "w": _WORD, "s": _SPACE}
_OTHERS = {"D": _DIGITS, "W": _WORD, "S": _ANY_SPACE}
"""What is none of these. What only some engines take for a space is written neither as one nor as none."""
_CONTROLS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v", "0": "\0"}
_LINE_ENDS: Ranges = (("\n", "\n"), ("\r", "\r"), ("\u2028", "\u2029"))
ANY = Chars((), negated=True)
_MOST_REPEATS = 1000
_DEEPEST = 32


def matching(pattern: str) -> Node:
    """All texts in which the pattern is found, as a JSON schema has it: anywhere, if it is not anchored."""
    return _Parser(pattern).whole()


class _Parser:
    def __init__(self, pattern: str) -> None:
        self._pattern, self._at, self._depth = pattern, 0, 0

    def whole(self) -> Node:
        options = [self._anchored()]
        while self._taken("|"):
            options.append(self._anchored())
        if self._at < len(self._pattern):
            raise Unsupported("it closes a group that is not open")
        return choice(*options)

    def _anchored(self) -> Node:
        """One alternative of the whole pattern, with its anchors or what may stand around it."""
        begins = self._taken("^")
        inside = self._sequence()
        ends = self._taken("$")
        around = Repeat(ANY)
        if inside == EMPTY and not begins and not ends:
            return around  # twice it could be divided anywhere
        return sequence(EMPTY if begins else around, inside, EMPTY if ends else around)

    def _choice(self) -> Node:
        options = [self._sequence()]
        while self._taken("|"):
            options.append(self._sequence())
        return choice(*options)

    def _sequence(self) -> Node:
        parts = []
        while self._next() not in ("", "|", ")") and not self._at_end_anchor():
            parts.append(self._repeated(self._atom()))
        return sequence(*_words(parts))

    def _at_end_anchor(self) -> bool:
        """Whether a `$` ends an alternative of the whole pattern; elsewhere it is refused as an atom."""
        following = self._pattern[self._at + 1 : self._at + 2]
        return self._depth == 0 and self._next() == "$" and following in ("", "|")

    def _repeated(self, atom: Node) -> Node:
        least: int
        most: int | None
        match self._next():
            case "*":
                least, most = 0, None
            case "+":
                least, most = 1, None
            case "?":
                least, most = 0, 1
            case "{":
                least, most = self._bounds()
                self._at -= 1
            case _:
                return atom
        self._at += 1
        self._taken("?")  # What is found first makes no difference to what can be found.
        if self._next() in ("*", "+", "?"):
            raise Unsupported("a quantifier follows another")
        return Repeat(atom if most is not None else _looped(atom), least, most)

    def _bounds(self) -> tuple[int, int | None]:
        """`{3}`, `{3,}` or `{3,5}`."""
        end = self._pattern.find("}", self._at)
        inside = self._pattern[self._at + 1 : end] if end > 0 else ""
        low, comma, high = inside.partition(",")
        if not inside.isascii() or not low.isdecimal() or (high and not high.isdecimal()):
            raise Unsupported("a brace stands where no quantifier is")
        if max(len(low), len(high)) > 5:
            raise Unsupported("a quantifier is too large")
        least, most = int(low), int(high) if high else None if comma else int(low)
        if most is not None and most < least:
            raise Unsupported("a quantifier's bounds are the wrong way round")
        if max(least, most or 0) > _MOST_REPEATS:
            raise Unsupported(f"a quantifier is above {_MOST_REPEATS}")
        self._at = end + 1
        return least, most

    def _atom(self) -> Node:
        character = self._take()
        match character:
            case ".":
                return Chars(_LINE_ENDS, negated=True)
            case "[":
                return self._class()
            case "(":
                return self._group()
            case "\\":
                found = self._escape(inside_class=False)
                return Text(found) if isinstance(found, str) else found
            case "^" | "$":
                raise Unsupported("an anchor stands within the pattern")
            case "*" | "+" | "?" | "{":
                raise Unsupported("a quantifier has nothing before it")
            case _:
                return Text(character)

    def _group(self) -> Node:
        if self._taken("?"):
            if self._taken("<") and self._next() not in ("=", "!"):
                end = self._pattern.find(">", self._at)
                if end < 0:
                    raise Unsupported("a group's name has no end")
                self._at = end + 1
            elif not self._taken(":"):
                raise Unsupported("it looks ahead or behind")
        self._depth += 1
        if self._depth > _DEEPEST:
            raise Unsupported("its groups are nested too deeply")
        inside = self._choice()
        self._depth -= 1
        if not self._taken(")"):
            raise Unsupported("a group is not closed")
        return inside

    def _class(self) -> Node:
        negated = self._taken("^")
        ranges: list[tuple[str, str]] = []
        while not self._taken("]"):
            first = self._member()
            if self._next() == "-" and self._pattern[self._at + 1 : self._at + 2] not in ("]", ""):
                self._at += 1
                last = self._member()
                if not isinstance(first, str) or not isinstance(last, str) or last < first:
                    raise Unsupported("a range in a class has no order")
                ranges.append((first, last))
            elif isinstance(first, str):
                ranges.append((first, first))
            else:
                ranges += first
        if not ranges:
            if negated:
                return ANY
            raise Unsupported("a class is empty")
        return Chars(tuple(dict.fromkeys(ranges)), negated)

    def _member(self) -> str | Ranges:
        character = self._take()
        if character != "\\":
            return character
        found = self._escape(inside_class=True)
        if isinstance(found, Chars):
            if found.negated:
                raise Unsupported("a class holds the opposite of another")
            return found.ranges
        return found

    def _escape(self, inside_class: bool) -> str | Chars:
        character = self._take()
        if character in _CLASSES:
            return Chars(_CLASSES[character])
        if character in _OTHERS:
            return Chars(_OTHERS[character], negated=True)
        if character == "b" and inside_class:
            return "\b"
        if character in _CONTROLS:
            return _CONTROLS[character]
        if character in ("x", "u"):
            return self._code(2 if character == "x" else 4)
        if character.isalnum():
            raise Unsupported(f"it has \\{character}")
        return character

    def _code(self, digits: int) -> str:
        text = self._pattern[self._at : self._at + digits]
        if len(text) < digits or not set(text) <= set(hexdigits):
            raise Unsupported("an escaped character has no number")
        code = int(text, 16)
        if 0xD800 <= code < 0xE000:
            raise Unsupported("an escaped character is half of one")
        self._at += digits
        return chr(code)

    def _next(self) -> str:
        return self._pattern[self._at : self._at + 1]

    def _take(self) -> str:
        if self._at >= len(self._pattern):
            raise Unsupported("it ends too early")
        self._at += 1
        return self._pattern[self._at - 1]

    def _taken(self, character: str) -> bool:
        """Whether that comes next; then it is taken."""
        if self._next() != character:
            return False
        self._at += 1
        return True


def _words(parts: Iterable[Node]) -> Iterator[Node]:
    """Letters one after the other as one text: `choice` lets those of many that begin alike branch later."""
    for are_texts, alike in groupby(parts, lambda part: isinstance(part, Text)):
        if are_texts:
            yield Text("".join(part.text for part in alike if isinstance(part, Text)))
        else:
            yield from alike


def _looped(node: Node) -> Node:
    """What may come again and again as well instead, where it may be empty: its parts, in any order.

    Else a text could be divided among `(a?b?c?)*` in as many ways as it has characters.
    """
    match node:
        case Sequence(parts) if all(map(_may_be_empty, parts)):
            return choice(*map(_looped, parts))
        case Choice(options):
            return choice(*map(_looped, options))
        case Repeat(part, least) if least == 0 or _may_be_empty(part):
            return _looped(part)
        case _:
            return node


def _may_be_empty(node: Node) -> bool:
    match node:
        case Text(text):
            return not text
        case Sequence(parts):
            return all(map(_may_be_empty, parts))
        case Choice(options):
            return any(map(_may_be_empty, options))
        case Repeat(part, least):
            return least == 0 or _may_be_empty(part)
        case _:
            return False

"""Numbers between bounds, as digits."""

from __future__ import annotations

import math
from decimal import Decimal

from antiphon.grammar.nodes import Chars, Node, Repeat, Text, choice, optional, sequence

DIGIT = Chars((("0", "9"),))
NATURAL: Node = choice(Text("0"), sequence(Chars((("1", "9"),)), Repeat(DIGIT, 0, 15)))
"""Up to sixteen digits: more than any client can hold exactly, and a model that loops stops there."""
INTEGER: Node = sequence(optional(Text("-")), NATURAL)
NUMBER: Node = sequence(
    INTEGER,
    optional(sequence(Text("."), Repeat(DIGIT, 1, 16))),
    optional(
        sequence(
            Chars((("e", "e"), ("E", "E"))), optional(Chars((("+", "+"), ("-", "-")))), Repeat(DIGIT, 1, 2)
        )
    ),
)
MOST_DIGITS = 15
MOST_PLACES = 9


def decimals(least: Decimal, most: Decimal, places: int) -> Node | None:
    """Numbers with up to so many decimal places from `least` to `most`; None if there is none.

    With places, those at the edges may be missing: what is written is always within.
    """
    scale = 10**places
    low, high = math.ceil(least * scale), math.floor(most * scale)
    if low > high:
        return None
    options: list[Node] = []
    if high >= 0:
        options += _scaled(max(0, low), high, places, "")
    if low < 0:
        options += _scaled(max(1, -high) if high < 0 else 1, -low, places, "-")
    return choice(*options)


def _scaled(low: int, high: int, places: int, sign: str) -> list[Node]:
    """n / 10**places for n from `low` to `high`, both at least zero."""
    scale = 10**places
    first, last = -(-low // scale), high // scale
    options: list[Node] = []
    if first <= last:
        # Whole numbers, and those between two of them.
        options.append(sequence(Text(sign), _naturals(first, last)))
        if places and first < last:
            options.append(
                sequence(Text(sign), _naturals(first, last - 1), Text("."), Repeat(DIGIT, 1, places))
            )
    if places:
        # Below the first and above the last whole number every place counts.
        edges = [(low, min(high, first * scale - 1))]
        if first <= last:
            edges.append((max(low, last * scale + 1), high))
        for begin, end in edges:
            if begin <= end:
                whole = begin // scale
                fraction = _padded(begin - whole * scale, end - whole * scale, places)
                options.append(sequence(Text(f"{sign}{whole}."), fraction))
    return options


def _naturals(low: int, high: int) -> Node:
    """Whole numbers from `low` to `high`, both at least zero, without leading zeros."""
    options = []
    for digits in range(len(str(low)), len(str(high)) + 1):
        begin, end = max(low, 10 ** (digits - 1) if digits > 1 else 0), min(high, 10**digits - 1)
        options.append(_padded(begin, end, digits))
    return choice(*options)


def _padded(low: int, high: int, digits: int) -> Node:
    """Numbers from `low` to `high` with exactly so many digits, zeros before them."""
    if digits == 0:
        return Text("")
    rest = 10 ** (digits - 1)
    first, last = low // rest, high // rest
    if low % rest == 0 and high % rest == rest - 1:
        return sequence(
            _digit(first, last), Repeat(DIGIT, digits - 1, digits - 1) if digits > 1 else Text("")
        )
    if first == last:
        return sequence(_digit(first, first), _padded(low % rest, high % rest, digits - 1))
    options = [sequence(_digit(first, first), _padded(low % rest, rest - 1, digits - 1))]
    if first + 1 < last:
        options.append(sequence(_digit(first + 1, last - 1), Repeat(DIGIT, digits - 1, digits - 1)))
    options.append(sequence(_digit(last, last), _padded(0, high % rest, digits - 1)))
    return choice(*options)


def _digit(first: int, last: int) -> Node:
    return Text(str(first)) if first == last else Chars(((str(first), str(last)),))

"""Numbers as they are said: speech models write some of them in digits, sentences to be read often do not."""

from __future__ import annotations

import re

ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
    " seventeen eighteen nineteen"
).split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
    "twelve": "twelfth",
}  # fmt: skip


def spelled(word: str) -> list[str]:
    """A number below 100, its ordinal ("20th"), or a year ("1813") in words; all else as it is."""
    number = re.fullmatch(r"(\d{1,2}|1[1-9]\d\d)(st|nd|rd|th)?", word)
    if not number:
        return [word]
    digits = number[1]
    said = below_hundred(int(digits)) if len(digits) < 3 else year(int(digits))
    if number[2]:
        last = said[-1]
        said[-1] = ORDINALS.get(last) or (last[:-1] + "ieth" if last.endswith("y") else last + "th")
    return said


def below_hundred(number: int) -> list[str]:
    if number < 20:
        return [ONES[number]]
    return [TENS[number // 10 - 2], *([ONES[number % 10]] if number % 10 else [])]


def year(number: int) -> list[str]:
    """As "eighteen thirteen", "nineteen oh five" or "nineteen hundred"."""
    century, rest = divmod(number, 100)
    after = ["hundred"] if not rest else ["oh", ONES[rest]] if rest < 10 else below_hundred(rest)
    return [*below_hundred(century), *after]

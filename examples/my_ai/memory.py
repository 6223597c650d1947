"""What a message is reminded of: things that the user has told of themselves."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

PERSONAL = re.compile(r"\b(?:i|my|me|we|our)\b", re.IGNORECASE)
ABOUT_ME = re.compile(r"\b(?:my|our|about me|(?:am|was|did|have|(?<!how )do) i)\b", re.IGNORECASE)
YOURS = {"i": "you", "am": "are", "my": "your", "me": "you", "we": "you", "our": "your", "mine": "yours"}
STOP_WORDS = frozenset(
    "a an and are as at be been but can could did do does for from had has have he her him his how i in is it"
    " its me my of on or our she so some tell than that the their them then there they this to too us was we"
    " were what when where which who why will with would you your called".split()
)


class Exchange(NamedTuple):
    """What the user said, and what was answered."""

    text: str
    answer: str


def stems(text: str) -> set[str]:
    """The words that say something, cut so that forms of one word are alike."""
    words = re.findall(r"[^\W_]+", re.sub(r"['’]s?\b", "", text.lower()))
    return {word[:5].removesuffix("s") for word in words if word not in STOP_WORDS}


def asks(text: str) -> bool:
    """Whether a message asks for something about who writes it."""
    return text.endswith("?") and bool(ABOUT_ME.search(text))


def told(exchanges: Sequence[Exchange]) -> list[str]:
    """The sentences in which the user said something of themselves, the newest first."""
    sentences = [one for said in exchanges for one in re.split(r"(?<=[.!?])\s+|\n+", said.text)]
    return [one for one in reversed(sentences) if PERSONAL.search(one) and not one.endswith("?")]


def reminders(text: str, exchanges: Sequence[Exchange]) -> list[str]:
    """The two things told that share most words with a message, those that share none left out.

    A question about the user is reminded of something in any case: "my job" has no word of "I am a nurse".
    """
    known = list(dict.fromkeys(told(exchanges)))
    alike = sorted(known, key=lambda one: -len(stems(one) & stems(text)))
    return [one for one in alike if stems(one) & stems(text)][:2] or known[: 3 * asks(text)]


def addressed(text: str) -> str:
    """What the user said, as it is said to them: "I am" becomes "You are"."""
    turned = re.sub(r"\b[A-Za-z]+\b", lambda word: YOURS.get(word[0].lower(), word[0]), text)
    return re.sub(r"(?:^|(?<=[.!?] ))[a-z]", lambda first: first[0].upper(), turned)

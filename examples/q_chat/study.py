"""Study material as passages, and which of them say what: found by words, and cited by words."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from dataclasses import dataclass

STOPWORDS = frozenset(
    "a about above after again all almost along also although always am an and another any are around"
    " as at away back be became because become been before began behind being below between both but by"
    " called came can come comes could did do does done down during each either else enough even ever"
    " every few first for found from get give given gives go goes good had hardly has have he her here"
    " him his hold holds how however i if in into is it its itself just keep kind large last least less"
    " lies like little long made make makes many may me mean means might more most much must my name"
    " near nearly never no nor not nothing now of off often on once one only onto or other others our"
    " out over own part parts quite rather said same saw say says second see seen she should since so"
    " some something such take taken takes than that the their them then there therefore these they"
    " thing things this those though three through thus to today together too towards turn two under"
    " until up upon us use used very was way we well went were what when where whether which while who"
    " whole whom whose why will with within without would yet you your".split()
)
WORD = r"[^\W_](?:[\w'-]|[.,](?=\d))*"
NUMBER = re.compile(
    r"(?<![\w.])(\d[\d,]*(?:\.\d+)?(?: million| billion)?)"
    r" ((?:cubic |square )?(?!and\b|to\b|or\b)[a-z]{3,})\b"
)


@dataclass(frozen=True)
class Passage:
    """What is cited: some sentences of one section."""

    number: int
    section: int
    text: str
    terms: tuple[str, ...]
    """What can be asked about, as it is written in the text."""


@dataclass(frozen=True)
class Material:
    title: str
    sections: tuple[str, ...]
    passages: tuple[Passage, ...]


def sentences(text: str) -> list[str]:
    return re.split(r"(?<=[.!?])\s+(?=[A-Z0-9\"'])", text)


def stem(word: str) -> str:
    """A word as it is compared: evaporation, evaporates and evaporated are one."""
    return re.sub(r"(ations?|ates?|ated|ating|ings?|ions?|ed|es|s|e)$", "", word.lower()) or word.lower()


def plural(unit: str) -> str:
    return unit if unit.endswith(("s", "percent")) else f"{unit}s"


def content(text: str) -> list[str]:
    """The words that say something, in their order, once each."""
    return list(dict.fromkeys(word for word in words(text) if word.lower() not in STOPWORDS))


def words(text: str) -> list[str]:
    return re.findall(WORD, text)


class Index:
    """Finds passages by BM25, in memory."""

    def __init__(self, material: Material) -> None:
        self._passages = material.passages
        self._table = sqlite3.connect(":memory:")
        self._table.execute(
            "CREATE VIRTUAL TABLE passages USING fts5(heading, text, tokenize='porter unicode61')"
        )
        rows = [(p.number, material.sections[p.section], p.text) for p in material.passages]
        self._table.executemany("INSERT INTO passages(rowid, heading, text) VALUES (?, ?, ?)", rows)

    def find(self, question: str, most: int = 3) -> list[Passage]:
        """The passages that share most with a question, the best first.

        None that has a third of its words or less.
        """
        words = content(question)[:32]
        asked = " OR ".join(f'"{word}"' for word in words)
        query = "SELECT rowid FROM passages WHERE passages MATCH ? ORDER BY bm25(passages, 0.5, 1.0) LIMIT ?"
        rows = self._table.execute(query, (asked, most)).fetchall() if asked else []
        found = [self._passages[number - 1] for (number,) in rows]
        stems = {stem(word) for word in words}
        return [p for p in found if 3 * len(stems & {stem(word) for word in content(p.text)}) > len(stems)]


def told(text: str, place: int) -> list[str]:
    """A sentence of a text; what "this" or "that" points to comes before it."""
    found = sentences(text)
    points = place and re.match(r"(This|That|It) is\b", found[place])
    return found[place - 1 : place + 1] if points else [found[place]]


def closest(question: str, passages: list[Passage]) -> list[str]:
    """The sentence that shares most with the question, rare words above all; and one that goes with it."""
    asked = {stem(word) for word in content(question)}
    places = [(p.text, place) for p in passages for place in range(len(sentences(p.text)))]
    stems = {
        (text, place): {stem(word) for word in content(sentences(text)[place])} for text, place in places
    }
    often = Counter(word for one in stems.values() for word in one)
    text, place = max(places, key=lambda one: sum(1 / often[word] for word in stems[one] & asked))
    best = told(text, place)
    return best if len(best) > 1 else sentences(text)[place : place + 2]


def cited(answer: str, passages: list[Passage], most: int = 2) -> list[Passage]:
    """The passages that an answer's words are from: each adds two words at least that those before it lack.

    Together they have half of the words; none if they do not.
    """
    left = {stem(word) for word in content(answer)}
    enough, found = len(left) / 2, list[Passage]()
    while len(found) < most:
        has = {p.number: left & {stem(word) for word in content(p.text)} for p in passages if p not in found}
        best = max(has, key=lambda number: len(has[number]), default=0)
        if not best or len(has[best]) < min(2, len(left)) or not has[best]:
            break
        found.append(next(p for p in passages if p.number == best))
        left -= has[best]
    return found if len(left) <= enough else []

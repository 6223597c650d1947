"""What is asked next, how hard, whether an answer is right, what is known: no model takes part."""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any, Literal

import grammars
import study
from study import Material, Passage

Verdict = Literal["right", "partly", "wrong"]
RECOGNISE, FILL_IN, EXPLAIN = LEVELS = (1, 2, 3)
GAP = "____"
CHOICES = 4
REPEAT_AFTER = 3
"""Questions until one that was answered wrong is asked again."""


@dataclass(frozen=True)
class Item:
    """One thing to ask: a term of a passage, at a level."""

    passage: Passage
    term: str
    level: int
    choices: tuple[str, ...] = ()
    right: int = -1
    """Which of the choices is the right one."""

    @property
    def is_number(self) -> bool:
        return study.NUMBER.fullmatch(self.term) is not None

    @property
    def names_term(self) -> bool:
        """Whether the question names the term, and asks what is said about it; else it asks for the term."""
        return self.level != FILL_IN and not self.is_number

    @property
    def most(self) -> int:
        """The highest level of its kind: a number cannot be explained."""
        return FILL_IN if self.is_number else EXPLAIN

    @property
    def told(self) -> str:
        """The sentence with the term, and what it points to."""
        found = study.sentences(self.passage.text)
        return " ".join(
            study.told(self.passage.text, next(n for n, one in enumerate(found) if self.term in one))
        )

    @property
    def gapped(self) -> str:
        return gap(self.passage.text, self.term) if self.level == FILL_IN or self.is_number else ""


def gap(text: str, term: str) -> str:
    return re.sub(rf"(?<!\w){re.escape(term)}(?!\w)", GAP, text, flags=re.IGNORECASE)


@dataclass
class Tutor:
    """One student's way through one material."""

    material: Material
    chance: random.Random = field(default_factory=random.Random)
    item: Item | None = None
    """What is asked now, and not answered yet."""
    _levels: dict[int, int] = field(default_factory=dict)
    _known: dict[tuple[int, str], int] = field(default_factory=dict)
    """The highest level at which a term of a passage was answered right; less after a wrong answer."""
    _asked: Counter[tuple[int, str]] = field(default_factory=Counter)
    _right: Counter[int] = field(default_factory=Counter)
    _answered: Counter[int] = field(default_factory=Counter)
    _again: list[tuple[int, tuple[int, str]]] = field(default_factory=list)

    def next_item(self, section: int | None = None) -> Item:
        """What went wrong a while ago; else what was asked least, of the given section or the least known."""
        total = self._asked.total()
        due = [
            key
            for when, key in self._again
            if when <= total and section in (None, self._passage(key).section)
        ]
        if due:
            self._again = [(when, key) for when, key in self._again if key != due[0]]
            key = due[0]
        else:
            section = self._weakest() if section is None else section
            keys = self._keys(section)
            least = min(self._asked[key] for key in keys)
            key = self.chance.choice([key for key in keys if self._asked[key] == least])
        passage = self._passage(key)
        self._asked[key] += 1
        self.item = self._made(passage, key[1], self._levels.get(passage.section, RECOGNISE))
        return self.item

    def grade(self, said: str) -> Verdict:
        """Take the answer to what is asked: the verdict moves the level of the section, and what is known."""
        item = self.item
        if item is None:
            raise ValueError("nothing is asked")
        verdict, key, section = grade(item, said), (item.passage.number, item.term), item.passage.section
        self.item = None
        self._answered[section] += 1
        level = self._levels.get(section, RECOGNISE)
        if verdict == "right":
            self._right[section] += 1
            self._known[key] = max(self._known.get(key, 0), item.level)
            self._levels[section] = min(EXPLAIN, level + 1)
        elif verdict == "wrong":
            self._known[key] = min(self._known.get(key, 0), item.level - 1)
            self._levels[section] = max(RECOGNISE, level - 1)
            self._again.append((self._asked.total() + REPEAT_AFTER - 1, key))
        return verdict

    def progress(self) -> list[dict[str, Any]]:
        """For each section: its name, level, answers, right ones, and the share that is known, 0 to 1."""
        return [
            {
                "name": name,
                "level": self._levels.get(number, RECOGNISE),
                "answered": self._answered[number],
                "right": self._right[number],
                "known": self._share(number),
                "empty": not self._keys(number),
            }
            for number, name in enumerate(self.material.sections)
        ]

    def _share(self, section: int) -> float:
        keys = self._keys(section)
        most = sum(Item(self._passage(key), key[1], RECOGNISE).most for key in keys)
        return sum(self._known.get(key, 0) for key in keys) / most if most else 0.0

    def _weakest(self) -> int:
        sections = [number for number in range(len(self.material.sections)) if self._keys(number)]
        return min(sections, key=lambda number: (self._share(number), self._answered[number]))

    def _keys(self, section: int) -> list[tuple[int, str]]:
        items = (
            Item(p, term, EXPLAIN) for p in self.material.passages if p.section == section for term in p.terms
        )
        return [
            (item.passage.number, item.term)
            for item in items
            if item.names_term or grammars.can_ask_for(item.told, item.term)
        ]

    def _passage(self, key: tuple[int, str]) -> Passage:
        return self.material.passages[key[0] - 1]

    def _made(self, passage: Passage, term: str, level: int) -> Item:
        item = Item(passage, term, level)
        item = Item(passage, term, min(level, item.most))
        if not item.is_number and level == FILL_IN and not grammars.can_ask_for(item.told, term):
            item = Item(passage, term, EXPLAIN)
        if item.level != RECOGNISE:
            return item
        own = term if item.is_number else gap(item.told, term)
        others = self._other_numbers(term) if item.is_number else self._other_sentences(item)
        choices = [own, *self.chance.sample(others, min(CHOICES - 1, len(others)))]
        self.chance.shuffle(choices)
        return Item(passage, term, item.level, tuple(choices), choices.index(own))

    def _other_numbers(self, term: str) -> list[str]:
        """Other numbers of the material, in the unit of this one."""
        own = study.NUMBER.fullmatch(term)
        assert own is not None
        unit = study.plural(own[2])
        found = (number for p in self.material.passages for number in study.NUMBER.finditer(p.text))
        return list(
            dict.fromkeys(f"{number[1]} {unit}" for number in found if number[1] not in (own[1], "1"))
        )

    def _other_sentences(self, item: Item) -> list[str]:
        """What is told of other terms, each with a gap for its own."""
        others = [
            Item(p, term, RECOGNISE)
            for p in self.material.passages
            if p != item.passage
            for term in p.terms[:1]
        ]
        told = [gap(one.told, one.term) for one in others if not one.is_number and item.term not in one.told]
        return list(dict.fromkeys(told))


def grade(item: Item, said: str) -> Verdict:
    """Choices by their number, from 0; terms by their spelling; explanations by the words of the passage."""
    if item.choices:
        return "right" if said == str(item.right) else "wrong"
    if item.is_number:
        number = study.NUMBER.fullmatch(item.term)
        assert number is not None
        figures = number[1].replace(",", "").split()[0]
        return "right" if figures in re.findall(r"\d+(?:\.\d+)?", said.replace(",", "")) else "wrong"
    if item.level == FILL_IN:
        return _spelled(item.term, said)
    wanted = {study.stem(word) for word in study.content(item.passage.text)}
    wanted -= {study.stem(word) for word in study.words(item.term)}
    hits = len(wanted & {study.stem(word) for word in study.content(said)})
    enough = min(3, len(wanted))
    return "right" if hits >= enough else "partly" if hits else "wrong"


def _spelled(term: str, said: str) -> Verdict:
    """A slip of a letter or two is right, half of the term is partly."""
    plain = re.sub(r"^(the|a|an) ", "", said.strip().lower().rstrip(".!"))
    if SequenceMatcher(None, plain, term.lower()).ratio() >= 0.85:
        return "right"
    stems = {study.stem(word) for word in study.words(term)}
    shared = stems & {study.stem(word) for word in study.words(plain)}
    return "right" if shared == stems else "partly" if shared else "wrong"

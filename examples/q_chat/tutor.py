"""What is asked next, how hard, whether an answer is right and what is known: no model takes part."""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import reduce

from examples.kit.serve import Event

from .material import Material, Term, stems

CHOOSE, FILL_IN, EXPLAIN = 1, 2, 3
OTHERS = 3  # choices beside the right one


@dataclass
class Turn:
    """A question, and how it was answered."""

    term: Term
    level: int
    choices: list[str]
    question: str = ""
    verdict: str = ""  # "right", "partly" or "wrong", once it is answered

    @property
    def gapped(self) -> str:
        """What is told, without the term."""
        term = rf"(?<!\w){re.escape(self.term.name)}(?!\w)"
        return re.sub(term, "____", self.term.told, flags=re.IGNORECASE)


class Tutor:
    """One student's way through one material: the turns, and what follows from them."""

    def __init__(self, material: Material) -> None:
        self.material, self.turns = material, list[Turn]()

    def next(self) -> Turn:
        """About what is not known yet of the first section that has some; none of the last two terms."""
        asked, known, terms = [turn.term for turn in self.turns], self._known(), self.material.terms
        rested = [term for term in terms if term not in asked[-2:]] or terms
        unknown = [term for term in rested if term not in known]
        here = [term for term in unknown if term.passage.section == unknown[0].passage.section]
        term = min(here or rested, key=asked.count)
        level = FILL_IN if term.number else self.level(term.passage.section)
        others = {one.name for one in terms if not one.number} - {term.name}
        choices = random.sample(sorted(others), min(len(others), OTHERS)) if level == CHOOSE else []
        self.turns.append(Turn(term, level, sorted([term.name, *choices]) if choices else []))
        return self.turns[-1]

    def level(self, section: str) -> int:
        """One higher after each right answer, one lower after a wrong one."""
        verdicts = [turn.verdict for turn in self.turns if turn.term.passage.section == section]
        steps = [{"right": 1, "wrong": -1}.get(verdict, 0) for verdict in verdicts]
        return reduce(lambda level, step: min(EXPLAIN, max(CHOOSE, level + step)), steps, CHOOSE)

    def progress(self) -> list[Event]:
        """Of each section: its name and level, how many terms it has, and how many of them are known."""
        of = Counter(term.passage.section for term in self.material.terms)
        known = Counter(term.passage.section for term in self._known())
        return [
            {"name": section, "level": self.level(section), "known": known[section], "terms": terms}
            for section, terms in of.items()
        ]

    def _known(self) -> list[Term]:
        """The terms whose last answer was right."""
        last = {turn.term: turn.verdict for turn in self.turns if turn.verdict}
        return [term for term, verdict in last.items() if verdict == "right"]


def grade(turn: Turn, said: str) -> str:
    """A choice and a number must be right, a term nearly so; an explanation has words of the passage."""
    term, wanted = turn.term, stems(turn.term.name)
    plain = re.sub(r"^(the|an?) ", "", said.strip(" .!").lower())
    if turn.choices:
        return "right" if said == term.name else "wrong"
    if term.number:
        figures = re.findall(r"\d+(?:\.\d+)?", said.replace(",", ""))
        return "right" if term.number[1].replace(",", "").split()[0] in figures else "wrong"
    if turn.level == EXPLAIN:
        wanted = stems(term.passage.text) - wanted
    elif SequenceMatcher(None, plain, term.name.lower()).ratio() >= 0.85:  # but for a slip of a letter
        return "right"
    shared = len(wanted & stems(plain))
    return "right" if shared >= min(3, len(wanted)) else "partly" if shared else "wrong"

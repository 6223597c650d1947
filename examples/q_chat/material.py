"""Study material: a file, Markdown, text or PDF, as passages and as terms that one can be asked about."""

from __future__ import annotations

import io
import math
import re
import unicodedata
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from pypdf import PdfReader

MOST_BYTES = 5_000_000
FEWEST_TERMS = 4
SENTENCES = 3  # of a passage, at most
COMMON = frozenset((Path(__file__).parent / "common.txt").read_text("utf-8").split())  # tell nothing
WORD = re.compile(r"[^\W_](?:[\w'-]|[.,](?=\d))*")
NUMBER = re.compile(r"(?<![\w.])(\d[\d.,]*(?<=\d)(?: [mb]illion)?) ((?:cubic |square )?(?!and\b)[a-z]{3,})\b")
_CALLED = re.compile(r"\b(?:called|known as|named) (?:an? |the )?([a-z]{5,}(?: [a-z]{5,})?)\b")
_PROPER = re.compile(r"(?<=[a-z,] )[A-Z][a-z]{2,}(?: (?:of )?[A-Z][a-z]+)*")


class Passage(NamedTuple):
    """What is cited: a few sentences of a section."""

    section: str
    text: str


class Term(NamedTuple):
    """What can be asked about: a word, a name or a number, as the text writes it."""

    name: str
    told: str
    """The sentence that has it, and the one before if it points there."""
    passage: Passage

    @property
    def number(self) -> re.Match[str] | None:
        return NUMBER.fullmatch(self.name)


class Material:
    def __init__(self, name: str, content: bytes) -> None:
        """A file, by what is in it. Raises `ValueError`, which says why not."""
        try:
            text = _of_pdf(content) if content.startswith(b"%PDF") else content.decode("utf-8-sig")
        except Exception as problem:  # a PDF that is damaged makes pypdf raise of many kinds
            about = f"This is neither a PDF nor text in UTF-8, or it is damaged or locked: {problem}"
            raise ValueError(about) from None
        self.title, section, self.passages, self.terms = name, "", list[Passage](), list[Term]()
        # Headings and points of a list are paragraphs of their own.
        apart = re.sub(r"(?m)^(#+ .*)$", r"\n\1\n", "\n".join(text.splitlines()))
        for block in re.split(r"\n\s*\n|\n(?=[-*] |\d+\. )", apart):
            line = " ".join(block.split())
            plain = re.sub(r"^(#+|[-*>]|\d+\.) |!?\[(?=.*\]\()|\]\([^)]*\)|[*_`]+\b|\b[*_`]+", "", line)
            if line.startswith("#"):
                self.title, section = self.title if section else plain, plain
                continue
            bold, said = re.findall(r"\*\*([^*]{2,40})\*\*", line), sentences(plain)
            for start in range(0, len(said), SENTENCES):
                self._add(section or name, said[start : start + SENTENCES], bold)
        if len({term.name for term in self.terms}) < FEWEST_TERMS:
            raise ValueError(f"This has too little text to ask about: not {FEWEST_TERMS} terms or numbers.")

    def _add(self, section: str, said: list[str], bold: list[str]) -> None:
        """A passage, and each sentence's terms and first number, if enough is said to ask for them."""
        passage = Passage(section, " ".join(said))
        self.passages.append(passage)
        for before, sentence in pairwise(["", *said]):
            marked = [name for name in bold if name in sentence]
            names = marked or _CALLED.findall(sentence) or _PROPER.findall(sentence)[:1]
            names += [found[0] for found in NUMBER.finditer(sentence)][:1]
            points = before and re.match(r"(This|That|It) ", sentence)
            told = f"{before} {sentence}" if points else sentence
            told_of = [name for name in dict.fromkeys(names) if len(stems(sentence) - stems(name)) > 1]
            self.terms += [Term(name, told, passage) for name in told_of]

    def find(self, question: str) -> tuple[Passage, list[str]] | None:
        """The passage with most of a question's words, rare ones above all, and its best sentences."""
        asked = stems(question)
        often = Counter(stem for passage in self.passages for stem in stems(passage.text))

        def shared(text: str) -> float:
            found = stems(text)
            return sum(1 / often[stem] for stem in asked & found) / math.sqrt(len(found) or 1)

        best = max(self.passages, key=lambda passage: shared(passage.text))
        said = sentences(best.text)
        first = max(range(len(said)), key=lambda place: shared(said[place]))
        return (best, said[first : first + 2]) if 3 * len(asked & stems(best.text)) > len(asked) else None


def sentences(text: str) -> list[str]:
    return re.split(r"(?<=[.!?])\s+(?=[A-Z0-9\"'])", text) if text else []


def stems(text: str) -> frozenset[str]:
    """The words that say something, as they are compared: evaporation and evaporates are one."""
    ends = re.compile(r"(?<=.)(ations?|ates?|ated|ating|ings?|ions?|ed|es|s|e)$")
    return frozenset(ends.sub("", word) for word in WORD.findall(text.lower()) if word not in COMMON)


def _of_pdf(content: bytes) -> str:
    """As Markdown: a short line between sentences is a heading."""
    text = "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(content)).pages)
    written, ended = "", True
    # What is set as one sign, as "fi" often is, is two letters to whoever looks for a word.
    for line in filter(None, map(str.strip, unicodedata.normalize("NFKC", text).splitlines())):
        heading = ended and len(line) < 60 and re.fullmatch(r"[A-Z0-9][^.!?;]*[\w)]", line)
        written += f"\n\n# {line}\n\n" if heading else f"{line}\n"
        ended = bool(heading) or line.endswith((".", "!", "?", ":"))
    return re.sub(r"(?<=[a-z])-\n", "", written)

"""What the model writes, under a grammar: a model of 135 million parameters invents when it may.

Questions are of the words of the text, and small ones that hold them together. Answers are sentences of the
text: the model chooses how to begin and where to end.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from openai import AsyncOpenAI
from pydantic_core import from_json

from examples.kit.chat import form, growing

from .material import WORD
from .tutor import EXPLAIN, Turn

PROMPTS = tomllib.loads((Path(__file__).parent / "prompts.toml").read_text("utf-8"))


@dataclass(frozen=True)
class Author:
    client: AsyncOpenAI
    model: str

    def question(self, turn: Turn) -> AsyncIterator[str]:
        """For the term or, at the highest level, about it."""
        name, told, number = turn.term.name, turn.term.told, turn.term.number
        if turn.level == EXPLAIN:
            pattern = asking(["What", "How", "Why", "Where", "When"], told, 8, name)
            return self._written("topic", f"Text: {told}\nTopic: {name}", pattern)
        openers = [f"How many {number[2]}"] if number else ["What", "Which", "Who", "Where"]
        pattern = asking(openers, told.replace(name, ""), 16)
        return self._written("term", f"Text: {told}\nAnswer: {name}", pattern)

    def feedback(self, turn: Turn) -> AsyncIterator[str]:
        """The answer to what was asked, with the term in it."""
        begin = _any(PROMPTS["openers"][turn.verdict]) + " "
        return self.answer(turn.question, [turn.term.told], begin, turn.term.name)

    def answer(self, question: str, said: list[str], begin: str = "", term: str = "") -> AsyncIterator[str]:
        """What the first of the sentences says to a question, and perhaps the others."""
        others = "".join(rf"(\. {quoted(one)})?" for one in said[1:])
        pattern = rf"^{begin}{quoted(said[0], term)}{others}\.$"
        return self._written("answer", f"Text: {' '.join(said)}\nQuestion: {question}", pattern)

    async def _written(self, prompt: str, asked: str, pattern: str) -> AsyncIterator[str]:
        """One text that has the pattern, as far as the model has written it, again and again."""
        begun = self.client.chat.completions.create(
            model=self.model,
            messages=[*PROMPTS["messages"][prompt], {"role": "user", "content": asked}],
            response_format=form({"text": {"type": "string", "pattern": pattern}}),
            temperature=0,
            max_tokens=200,
            stream=True,
        )
        async for written in growing(begun):
            yield from_json(written or "{}", allow_partial="trailing-strings").get("text", "")


def asking(openers: Iterable[str], text: str, most: int, term: str = "") -> str:
    """A pattern: an opener, words of the text or small ones, the term among them if there is one."""
    words = [*WORD.findall(text), *WORD.findall(text.lower()), *PROMPTS["small_words"].split()]
    word = f"(,? {_any(word for word in words if word.lower() not in term.lower())})"
    middle = f"{word}{{0,{most}}} {re.escape(term)}{word}{{0,{most}}}" if term else f"{word}{{2,{most}}}"
    return rf"^{_any(openers)}{middle}\?$"


def quoted(text: str, term: str = "") -> str:
    """A pattern for a text up to the end of a clause, that of the term at the earliest, without its stop."""
    start = text.find(term)
    first, *more = re.split(r"(?=[,;:] )", text[start:].rstrip(".!?"))
    tail = ""
    for clause in reversed(more):
        tail = f"({re.escape(clause)}{tail})?"
    head = text[:start] + first
    return f"({_any({head[0].upper(), head[0].lower()})}{re.escape(head[1:])}{tail})"


def _any(words: Iterable[str]) -> str:
    """A pattern for one of the words, which branches where they differ: the server has less to try."""
    branches = [
        re.escape(first) + (_any(word[1:] for word in some) if first else "")
        for first, some in groupby(sorted(set(words)), key=lambda word: word[:1])
    ]
    return f"({'|'.join(branches)})" if branches[1:] else branches[0]

"""What the model writes: questions, feedback and answers, in words of the passage that they are about.

A model of 135 million parameters invents when it may. The grammar leaves it the words of the passage, and
those that hold a sentence together: it can state no number and no name that the passage does not have.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam
from openai.types.shared_params import ResponseFormatJSONSchema
from pydantic_core import from_json

from .material import WORD, Passage
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
            pattern = sentence(["What", "How", "Why", "Where", "When"], told, 8, r"\?", name)
            return self._written("topic", f"Text: {told}\nTopic: {name}", pattern)
        openers = [f"How many {number[2]}"] if number else ["What", "Which", "Who", "Where"]
        pattern = sentence(openers, told.replace(name, ""), 16, r"\?")
        return self._written("term", f"Text: {told}\nAnswer: {name}", pattern)

    def feedback(self, turn: Turn) -> AsyncIterator[str]:
        """The answer to what was asked, with the term in it."""
        pattern = sentence(PROMPTS["openers"][turn.verdict], turn.term.told, 20, r"\.", turn.term.name)
        return self._written("answer", f"Text: {turn.term.told}\nQuestion: {turn.question}", pattern)

    def answer(self, question: str, passage: Passage) -> AsyncIterator[str]:
        """What the passage says to the student's question."""
        openers = [
            word.capitalize() for word in [*WORD.findall(passage.text), *PROMPTS["small_words"].split()]
        ]
        pattern = sentence(openers, passage.text, 30, r"\.")
        return self._written("answer", f"Text: {passage.text}\nQuestion: {question}", pattern)

    async def _written(self, prompt: str, asked: str, pattern: str) -> AsyncIterator[str]:
        """One text that has the pattern, in pieces as the model writes it."""
        messages: list[ChatCompletionMessageParam] = PROMPTS["messages"][prompt]
        written, shown = "", 0
        async with await self.client.chat.completions.create(
            model=self.model,
            messages=[*messages, {"role": "user", "content": asked}],
            response_format=_form(pattern),
            temperature=0,
            max_tokens=200,
            stream=True,
        ) as chunks:
            async for chunk in chunks:
                written += (chunk.choices[0].delta.content or "") if chunk.choices else ""
                text = from_json(written or "{}", allow_partial="trailing-strings").get("text", "")
                if text[shown:]:
                    yield text[shown:]
                    shown = len(text)


def sentence(openers: Iterable[str], text: str, most: int, end: str, term: str = "") -> str:
    """A pattern: an opener, words of the text or small ones, the term among them if there is one, the end."""
    words = [*WORD.findall(text), *WORD.findall(text.lower()), *PROMPTS["small_words"].split()]
    word = f"(,? {_any(word for word in words if word.lower() not in term.lower())})"
    middle = f"{word}{{0,{most}}} {re.escape(term)}{word}{{0,{most}}}" if term else f"{word}{{2,{most}}}"
    return f"^{_any(openers)}{middle}{end}$"


def _any(words: Iterable[str]) -> str:
    """A pattern for one of the words, which branches where they differ: the server has less to try."""
    rest = sorted(set(words))
    branches = [
        re.escape(first) + _any(word[1:] for word in some)
        for first, some in groupby(filter(None, rest), key=itemgetter(0))
    ]
    joined = "|".join(branches)
    return f"({joined})?" if branches and not rest[0] else f"({joined})" if branches[1:] else joined


def _form(pattern: str) -> ResponseFormatJSONSchema:
    """A JSON object with one text, which has the pattern."""
    text = {"type": "string", "pattern": pattern}
    schema = {
        "type": "object",
        "properties": {"text": text},
        "required": ["text"],
        "additionalProperties": False,
    }
    return {"type": "json_schema", "json_schema": {"name": "words", "strict": True, "schema": schema}}

"""One turn of the conversation: checked, remembered, and answered in the persona's voice."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from memory import Turn, asks, matching, noted, recent, reminders, sentences, stems, tells
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam

MOST_TOKENS = 110
END = re.compile(r"[.!?…]+[\"”')]*(?=\s|$)")
RECALLED = (
    "Your dog is called Rex. You like tea best.\n\nWhat is my dog called?", "Your dog is called Rex.",
    "What do I like best?", "You like tea best.",
)  # fmt: skip
"""Examples of how a question about the user is answered: by "you"."""
DRAFTS = 6
OF_ITSELF = re.compile(r"\b(?:i|my|me|am)\b", re.IGNORECASE)
Event = dict[str, Any]


@dataclass(frozen=True)
class Persona:
    """Who answers: what the model is told, an example of how it talks, and how many sentences it may say."""

    name: str
    instructions: str
    sentences: int = 3
    example: Sequence[str] = ()


@dataclass(frozen=True)
class Conversation:
    """What came before: notes of what no longer fits, and the turns since."""

    notes: Sequence[str]
    turns: Sequence[Turn]


@dataclass(frozen=True)
class Companion:
    """A model with a memory of `history` tokens of the last turns."""

    client: AsyncOpenAI
    model: str
    history: int

    async def flagged(self, *texts: str) -> list[str]:
        """The categories that moderation flags the texts with; raises `openai.APIError`."""
        answer = await self.client.moderations.create(input=list(texts))
        found = {
            name
            for result in answer.results
            for name, is_so in result.to_dict()["categories"].items()
            if is_so
        }
        return sorted(found)

    async def remember(self, before: Conversation) -> Conversation:
        """The same with as many turns as fit, and notes of the others; raises `openai.APIError`."""
        fits = recent(before.turns, self.history)
        older, kept = before.turns[: len(before.turns) - fits], before.turns[len(before.turns) - fits :]
        return Conversation(await noted(self.client, self.model, before.notes, older), kept)

    def prompt(self, persona: Persona, before: Conversation, text: str) -> list[ChatCompletionMessageParam]:
        """Who the model is, what was noted of this, an example in its voice, the last turns, the message."""
        noted_before = [f'The user once said: "{note}"' for note in matching(text, before.notes)]
        system = " ".join([persona.instructions, *noted_before])
        return laid_out(system, [*persona.example, *(turn["content"] for turn in before.turns), text])

    async def answer(self, persona: Persona, before: Conversation, text: str) -> AsyncIterator[str]:
        """The answer as the model writes it, ended after the persona's number of sentences.

        Raises `openai.APIError`.
        """
        said = [one for turn in before.turns if turn["role"] == "user" for one in sentences(turn["content"])]
        if asks(text) and (found := reminders(text, [*before.notes, *filter(tells, said)])):
            yield await self._recalled(persona, found, text)
            return
        stream = await self.client.chat.completions.create(
            model=self.model,
            messages=self.prompt(persona, before, text),
            temperature=0.3,
            frequency_penalty=0.5,
            max_tokens=MOST_TOKENS,
            stream=True,
        )
        written = ""
        async with stream:
            async for chunk in stream:
                piece = (chunk.choices[0].delta.content or "") if chunk.choices else ""
                end = ended(written + piece, persona.sentences)
                yield piece if end is None else piece[: max(0, end - len(written))]
                if end is not None:
                    return
                written += piece

    async def _recalled(self, persona: Persona, found: Sequence[str], text: str) -> str:
        """The answer to a question about the user: of some drafts the one that fits best what is remembered.

        They are asked for with that alone: a short prompt is what small models answer best, and an earlier
        answer that went wrong does not lead it astray.
        """
        answer = await self.client.chat.completions.create(
            model=self.model,
            messages=laid_out(persona.instructions, [*RECALLED, f"{addressed(' '.join(found))}\n\n{text}"]),
            temperature=0.4,
            n=DRAFTS,
            max_tokens=60,
        )
        drafts = [(choice.message.content or "").strip() for choice in answer.choices]
        cut = [draft[: ended(draft, persona.sentences)] for draft in drafts]
        return max(cut, key=lambda draft: fit(draft, found, text))


def fit(draft: str, found: Sequence[str], text: str) -> int:
    """How well a draft answers: it says what is remembered, of the user, and nothing of the examples."""
    words, known = stems(draft), stems(" ".join(found))
    says = bool(words & (known - stems(text)))
    return 2 * says + (not OF_ITSELF.search(draft)) + (not words & (stems(" ".join(RECALLED)) - known))


def addressed(text: str) -> str:
    """What the user said, as it is said to them: "I am" becomes "You are"."""
    other = {"i": "you", "am": "are", "my": "your", "me": "you", "we": "you", "our": "your", "mine": "yours"}
    turned = re.sub(r"\b[A-Za-z]+\b", lambda word: other.get(word[0].lower(), word[0]), text)
    return re.sub(r"(?:^|(?<=[.!?] ))[a-z]", lambda first: first[0].upper(), turned)


def laid_out(system: str, said: Sequence[str]) -> list[ChatCompletionMessageParam]:
    """What user and assistant said in turn, after a system message."""
    messages: list[ChatCompletionMessageParam] = [{"role": "system", "content": system}]
    for n, content in enumerate(said):
        messages.append({"role": "assistant" if n % 2 else "user", "content": content})
    return messages


def ended(text: str, most: int) -> int | None:
    """Where the last allowed sentence ends, once something has come after it."""
    ends = [found.end() for found in END.finditer(text) if found.end() < len(text)]
    return ends[most - 1] if len(ends) >= most else None

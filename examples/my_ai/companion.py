"""One turn of the conversation: checked, reminded, and answered in the persona's voice."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam

from examples.kit.chat import END, dialogue, first, held

from .haiku import wanted, written
from .memory import Exchange, addressed, asks, reminders, stems

SYSTEM = "You are {}. Answer in one or two short sentences."
SENTENCES = 2
"""So many may an answer have: small models lose the thread soon."""
MOST_TOKENS = 110
TEMPERATURES = (0.3, 0.6, 0.9)
"""Of the attempts at an answer that repeats nothing: each is freer than the one before."""
DRAFTS = 5
OF_ITSELF = re.compile(r"\b(?:i|my|me)\b", re.IGNORECASE)
RECALLED = (
    Exchange(
        "Your dog is called Rex. You like tea best.\n\nWhat is my dog called?", "Your dog is called Rex."
    ),
    Exchange("What do I like best?", "You like tea best."),
)
"""Examples of how a question about the user is answered: by "you"."""
CARE = " If you are not well, please talk to somebody you trust, or call your local emergency number."


@dataclass(frozen=True)
class Turn:
    """A message, who is to answer it, with examples of how they talk, and what was said before."""

    text: str
    character: str
    example: Sequence[Exchange] = ()
    before: Sequence[Exchange] = ()


@dataclass(frozen=True)
class Companion:
    """A model that is told the last `history` exchanges."""

    client: AsyncOpenAI
    model: str
    history: int

    async def answer(self, turn: Turn) -> AsyncIterator[dict[str, Any]]:
        """What happens: `reminded`, a list, and `text` as far as it is written; or an `error`, for people.

        Raises `openai.APIError`.
        """
        if categories := await self.flagged(turn.character, turn.text):
            care = CARE if any(one.startswith("self-harm") for one in categories) else ""
            named = "; ".join(categories).replace("/", ", ")
            yield {"error": f"Not sent to the model: the check of messages found {named}.{care}"}
            return
        if topic := wanted(turn.text):
            texts = written(self.client, self.model, topic)
        else:
            found = reminders(turn.text, turn.before)
            yield {"reminded": found}
            messages = self.prompt(turn, found)
            about_user = found and asks(turn.text)
            texts = self.recall(messages, found, turn.text) if about_user else self.say(messages, turn.before)
        text = ""
        async for text in texts:
            yield {"text": text}
        if not text.strip():
            yield {"error": "The model said nothing: ask again."}

    async def flagged(self, *texts: str) -> list[str]:
        """The categories that moderation flags the texts with; raises `openai.APIError`."""
        answer = await self.client.moderations.create(input=list(texts))
        every = [one.categories.to_dict() for one in answer.results]
        return sorted({name for categories in every for name, is_so in categories.items() if is_so})

    def prompt(self, turn: Turn, reminded: Sequence[str]) -> list[ChatCompletionMessageParam]:
        """Who the model is, an example in its voice, the last exchanges, what it is reminded of, the message.

        A question about the user comes with that alone: a short prompt is what small models answer best, and
        an earlier answer that went wrong does not lead it astray.
        """
        before = [*turn.example, *turn.before[max(0, len(turn.before) - self.history) :]]
        if reminded and asks(turn.text):
            before = [*RECALLED]
        known = addressed(" ".join(reminded))
        asked = f"{known}\n\n{turn.text}".strip()
        return dialogue(SYSTEM.format(turn.character), *chain.from_iterable(before), asked)

    async def say(
        self, messages: list[ChatCompletionMessageParam], before: Sequence[Exchange]
    ) -> AsyncIterator[str]:
        """The answer as the model writes it, begun anew where it repeats itself; raises `openai.APIError`."""
        begin = partial(
            self.client.chat.completions.create,
            model=self.model,
            messages=messages,
            frequency_penalty=0.5,
            max_tokens=MOST_TOKENS,
            stream=True,
        )
        new = partial(is_new, [exchange.answer for exchange in before])
        async for text, _ in held(begin, TEMPERATURES, new, SENTENCES):
            yield text

    async def recall(
        self, messages: list[ChatCompletionMessageParam], reminded: Sequence[str], text: str
    ) -> AsyncIterator[str]:
        """The answer to a question about the user: of some drafts one that says what was told, and says it
        of the user, since small models easily take your life for theirs. Raises `openai.APIError`."""
        answer = await self.client.chat.completions.create(
            model=self.model, messages=messages, temperature=0.4, n=DRAFTS, max_tokens=60
        )
        drafts = [first(SENTENCES, (choice.message.content or "").strip()) for choice in answer.choices]
        yield max(drafts, key=partial(fit, reminded, text))


def is_new(before: Sequence[str], answer: str) -> bool:
    """Whether an answer has sentences, none of which is in the answers before, or in itself twice."""
    *said, now = [
        [" ".join(re.findall(r"\w+", one.lower())) for one in END.split(text) if one.strip()]
        for text in (*before, answer)
    ]
    return 0 < len(now) == len({*now} - {*chain.from_iterable(said)})


def fit(reminded: Sequence[str], text: str, draft: str) -> int:
    """How well a draft answers a question about the user, from what was told."""
    says = stems(draft) & (stems(" ".join(reminded)) - stems(text))
    return 2 * bool(says) + (bool(draft) and not OF_ITSELF.search(draft))

"""Who listens and answers: a recording becomes words with times, and a conversation goes on."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from feedback import Word
from openai import AsyncOpenAI

INSTRUCTIONS = "You are Sam, a friendly partner in a conversation. You answer in one or two short sentences."
EXAMPLE = (
    "I went to the market this morning.",
    "That sounds like a good start to the day! What did you buy?",
)
HESITANT = "Um, so, uh, I was, er, thinking that, um, well, hmm."
"""What Whisper is told was said before: it leaves out sounds of hesitation unless they have been written."""
ENDINGS = {"webm": "webm", "ogg": "ogg", "mp4": "mp4", "wav": "wav", "x-wav": "wav", "flac": "flac"}
MOST_SENTENCES = 2
MOST_TOKENS = 80
MOST_TURNS = 4
END = re.compile(r"[.!?…]+[\"”')]*(?=\s|$)")


@dataclass(frozen=True)
class Partner:
    """A speech model that listens, and a chat model that answers."""

    client: AsyncOpenAI
    model: str
    speech_model: str

    async def hear(self, recording: bytes, kind: str) -> tuple[str, list[Word]]:
        """The text of a recording of the type `audio/<kind>`, and its words with their times.

        The target sentence is not told to the model: it would hear it. Raises `openai.APIError`.
        """
        heard = await self.client.audio.transcriptions.create(
            model=self.speech_model,
            file=(f"speech.{ENDINGS.get(kind, kind)}", recording),
            language="en",
            prompt=HESITANT,
            response_format="verbose_json",
            timestamp_granularities=["word"],
        )
        return heard.text.strip(), [Word(one.word, one.start, one.end) for one in heard.words or []]

    async def answer(self, turns: Sequence[dict[str, str]], text: str) -> AsyncIterator[str]:
        """The answer as it is written, ended after `MOST_SENTENCES`; raises `openai.APIError`."""
        messages: list[Any] = [
            {"role": "system", "content": INSTRUCTIONS},
            {"role": "user", "content": EXAMPLE[0]},
            {"role": "assistant", "content": EXAMPLE[1]},
            *turns[-MOST_TURNS:],
            {"role": "user", "content": text},
        ]
        stream = await self.client.chat.completions.create(
            model=self.model,
            messages=messages,
            temperature=0.3,
            frequency_penalty=0.5,
            max_tokens=MOST_TOKENS,
            stream=True,
        )
        written = ""
        async with stream:
            async for chunk in stream:
                piece = (chunk.choices[0].delta.content or "") if chunk.choices else ""
                end = ended(written + piece)
                yield piece if end is None else piece[: max(0, end - len(written))]
                if end is not None:
                    return
                written += piece


def ended(text: str) -> int | None:
    """Where the last allowed sentence ends, once something has come after it."""
    ends = [found.end() for found in END.finditer(text) if found.end() < len(text)]
    return ends[MOST_SENTENCES - 1] if len(ends) >= MOST_SENTENCES else None

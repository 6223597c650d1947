"""Sam, who listens and answers: a recording becomes words with times, and a conversation goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from openai import AsyncOpenAI
from openai.types.audio import TranscriptionVerbose

from examples.kit.chat import dialogue, growing

INSTRUCTIONS = "You are Sam, a friendly partner in a conversation. You answer in one or two short sentences."
EXAMPLE = (
    "I went to the market this morning.",
    "That sounds like a good start to the day! What did you buy?",
)
HESITANT = "Um, so, uh, I was, er, thinking that, um, well, hmm."
"""What Whisper is told was said before: it leaves out sounds of hesitation unless they have been written."""
LAST = 5
"""So many texts of the conversation are shown to the model, the newest with them."""
SENTENCES = 2
"""So many an answer has at most."""


@dataclass(frozen=True)
class Partner:
    """A speech model that listens, and a chat model that answers."""

    client: AsyncOpenAI
    model: str = "gpt-3.5-turbo"
    speech_model: str = "whisper-1"

    async def hear(self, recording: bytes, media_type: str) -> TranscriptionVerbose:
        """The text of a recording, and its words with their times in seconds. Raises `openai.APIError`.

        The target sentence is not told to the model: it would hear it.
        """
        kind = media_type.partition(";")[0].rpartition("/")[2]
        return await self.client.audio.transcriptions.create(
            model=self.speech_model,
            file=(f"speech.{kind}", recording),
            language="en",
            prompt=HESITANT,
            response_format="verbose_json",
            timestamp_granularities=["word"],
        )

    async def answer(self, talk: Sequence[str]) -> AsyncIterator[str]:
        """The answer as far as it is written, longer each time, until two sentences are whole.

        `talk` is what was said, the user and Sam in turn, the user last. Raises `openai.APIError`.
        """
        begun = self.client.chat.completions.create(
            model=self.model,
            messages=dialogue(INSTRUCTIONS, *EXAMPLE, *talk[-LAST:]),
            temperature=0.3,
            frequency_penalty=0.5,
            max_tokens=80,
            stream=True,
        )
        async for written in growing(begun, SENTENCES):
            if written.strip():
                yield written

"""A haiku on request: the model writes several, each held to three lines; code counts syllables and picks."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam

METRE = (5, 7, 5)
DRAFTS = 5
ATTEMPTS = 3
NAMES = ("first", "second", "third")
LINE = {"type": "string", "pattern": "^[A-Z][a-z]*( [a-z]+){2,6}[.,!]?$"}
FORM = {
    "type": "json_schema",
    "json_schema": {
        "name": "haiku",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": dict.fromkeys(NAMES, LINE),
            "required": list(NAMES),
            "additionalProperties": False,
        },
    },
}
SHOWN = (
    ("the sea", ("Waves roll to the shore", "The gulls cry over the sand", "Salt wind in my hair")),
    ("winter", ("Snow falls on the roof", "A quiet fire burns inside", "The long night begins")),
)
LEFT_HANGING = frozenset(
    "a an and as at but by for from in is like my of on or our that the this to with your".split()
)


@dataclass(frozen=True)
class Haiku:
    """Three lines by the model, and how far they are from one: 0 is none away."""

    lines: tuple[str, ...]

    @property
    def syllables(self) -> list[int]:
        return [sum(map(syllables, line.split())) for line in self.lines]

    @property
    def away(self) -> int:
        """Syllables too many or too few; a line that breaks off or comes twice counts as three."""
        beats = sum(abs(has - wanted) for has, wanted in zip(self.syllables, METRE, strict=True))
        hanging = sum(line.rstrip(".,!").split()[-1].lower() in LEFT_HANGING for line in self.lines)
        return beats + 3 * (hanging + 3 - len({line.lower().rstrip(".,!") for line in self.lines}))


def wanted(text: str) -> str | None:
    """What a haiku is asked for about; `None` if the message asks for none."""
    if not re.search(r"\bhaiku\b", text, re.IGNORECASE):
        return None
    about = re.search(r"\b(?:about|on|of|for)\s+(.+)", text, re.IGNORECASE | re.DOTALL)
    return about[1].strip(" .!?\n") if about else "today"


def syllables(word: str) -> int:
    """The syllables of an English word, by its groups of vowels: right for most, not for all."""
    word = re.sub(r"[^a-z]", "", word.lower())
    groups = len(re.findall(r"[aeiouy]+", word))
    silent = re.search(r"[^aeioul]e$|[aeiou]le$|[^td]ed$|[^aeiouscxzgh]es$", word) and groups > 1
    return max(1, groups - bool(silent))


def read(text: str) -> Haiku | None:
    """A haiku from the model's JSON; `None` if it was cut off."""
    try:
        return Haiku(tuple(json.loads(text)[name] for name in NAMES))
    except ValueError:
        return None


async def drafts(client: AsyncOpenAI, model: str, topic: str) -> AsyncIterator[Haiku]:
    """The best haiku so far, after each attempt that made a better one; the last is what is to be shown.

    It ends early when nothing is left to better. Yields nothing if every draft was cut off. Raises
    `openai.APIError`.
    """
    best: Haiku | None = None
    for _ in range(ATTEMPTS):
        answer = await client.chat.completions.create(
            model=model,
            messages=prompt(topic),
            response_format=FORM,
            n=DRAFTS,
            temperature=0.8,
            max_tokens=80,
        )
        read_out = (read(choice.message.content or "") for choice in answer.choices)
        found = [one for one in [best, *read_out] if one is not None]
        better = min(found, key=lambda one: one.away, default=None)
        if better is not None and better != best:
            best = better
            yield best
        if best is not None and best.away == 0:
            return


def prompt(topic: str) -> list[ChatCompletionMessageParam]:
    """What a haiku is, two of them, and the topic."""
    messages: list[ChatCompletionMessageParam] = [
        {"role": "system", "content": "You write haiku: three short lines of 5, 7 and 5 syllables."}
    ]
    for known, lines in SHOWN:
        messages.append({"role": "user", "content": f"A haiku about {known}"})
        messages.append({"role": "assistant", "content": json.dumps(dict(zip(NAMES, lines, strict=True)))})
    return [*messages, {"role": "user", "content": f"A haiku about {topic}"}]

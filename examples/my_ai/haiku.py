"""A haiku on request: line by line the model writes drafts in a form, code counts syllables and picks one."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from memory import stems
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam

METRE = (5, 7, 5)
DRAFTS = 8
ATTEMPTS = 3
NAMES = ("first", "second", "third")
LINES = tuple(f"^([A-Z][a-z]+|A|I)( ([a-z]{{2,12}}|a)){{{words}}}[.,]?$" for words in ("2,4", "3,6", "2,4"))
"""Short words and few of them, so that lines of 5, 7 and 5 syllables come about."""
LONGEST_WORD = 10
SHOWN = (
    ("the sea", ("Waves roll to the shore", "The gulls cry over the sand", "Salt wind in my hair")),
    ("winter", ("Snow falls on the roof", "A quiet fire burns inside", "The long night begins")),
)
LEFT_HANGING = frozenset(
    "a an and as at but by for from in is like my of on or our that the this to with your".split()
)


@dataclass(frozen=True)
class Haiku:
    """Lines by the model, three of them once it is whole."""

    lines: tuple[str, ...]

    @property
    def syllables(self) -> list[int]:
        return [sum(map(syllables, line.split())) for line in self.lines]

    @property
    def flaws(self) -> int:
        """Lines that break off, come twice or are an example's, and runs of letters that are no words."""
        bare = [line.lower().rstrip(".,") for line in self.lines]
        shown = {line.lower() for _, lines in SHOWN for line in lines}
        runs = sum(len(word) > LONGEST_WORD for line in bare for word in line.split())
        hanging = sum(line.split()[-1] in LEFT_HANGING for line in bare)
        return hanging + runs + len(bare) - len(set(bare) - shown)

    @property
    def away(self) -> int:
        """Syllables too many or too few; a flaw counts as three."""
        off = sum(abs(has - ought) for has, ought in zip(self.syllables, METRE, strict=False))
        return off + 3 * self.flaws


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


def form(lines: Sequence[str]) -> dict[str, Any]:
    """The form of the lines that are chosen, and of one more: the model goes on from what it finds there."""
    properties: dict[str, Any] = {
        name: {"type": "string", "enum": [line]} for name, line in zip(NAMES, lines, strict=False)
    }
    properties[NAMES[len(lines)]] = {"type": "string", "pattern": LINES[len(lines)]}
    schema = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return {"type": "json_schema", "json_schema": {"name": "haiku", "strict": True, "schema": schema}}


def read(text: str, lines: Sequence[str]) -> Haiku | None:
    """The lines that are chosen and the one more of a draft; `None` if that was cut off."""
    try:
        return Haiku((*lines, json.loads(text)[NAMES[len(lines)]]))
    except ValueError:
        return None


async def written(client: AsyncOpenAI, model: str, topic: str) -> AsyncIterator[Haiku]:
    """The haiku as it grows: after one line, two, and three.

    Each line is chosen among `DRAFTS`, and as many more if none has the right number of syllables:
    `ATTEMPTS` times in all. Of equals one that names the topic is taken. It ends early if every draft was cut
    off. Raises `openai.APIError`.
    """
    best = Haiku(())
    for _ in METRE:
        found: list[Haiku] = []
        for _ in range(ATTEMPTS):
            answer = await client.chat.completions.create(
                model=model,
                messages=prompt(topic),
                response_format=form(best.lines),  # type: ignore[arg-type]
                n=DRAFTS,
                temperature=0.8,
                max_tokens=100,
            )
            drafts = (read(choice.message.content or "", best.lines) for choice in answer.choices)
            found += [one for one in drafts if one is not None]
            if any(one.away == best.away for one in found):
                break
        if not found:
            return
        best = min(found, key=lambda one: (one.away, not stems(" ".join(one.lines)) & stems(topic)))
        yield best


def prompt(topic: str) -> list[ChatCompletionMessageParam]:
    """What a haiku is, two of them, and the topic."""
    messages: list[ChatCompletionMessageParam] = [
        {"role": "system", "content": "You write haiku: three short lines of 5, 7 and 5 syllables."}
    ]
    for known, lines in SHOWN:
        messages.append({"role": "user", "content": f"A haiku about {known}"})
        messages.append({"role": "assistant", "content": json.dumps(dict(zip(NAMES, lines, strict=True)))})
    return [*messages, {"role": "user", "content": f"A haiku about {topic}"}]

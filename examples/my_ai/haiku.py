"""A haiku on request: line by line the model writes drafts in a form, code counts syllables and picks one."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Sequence

from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam
from openai.types.shared_params import ResponseFormatJSONSchema

from examples.kit.chat import dialogue, form

from .memory import stems

METRE = (5, 7, 5)
DRAFTS = 8
ATTEMPTS = 3
LONGEST_WORD = 10
NAMES = ("first", "second", "third")
LINES = tuple(f"^([A-Z][a-z]+|A|I)( ([a-z]{{2,12}}|a)){{{words}}}[.,]?$" for words in ("2,4", "3,6", "2,4"))
"""Short words and few of them, so that lines of 5, 7 and 5 syllables come about."""
SHOWN = {
    "the sea": ("Waves roll to the shore", "The gulls cry over the sand", "Salt wind in my hair"),
    "winter": ("Snow falls on the roof", "A candle burns in the hall", "The long night begins"),
}
SILENT = re.compile("(?<=[^aeioul])e$|(?<=[aeiou]l)e$|(?<=[^td])e(?=d$)|(?<=[^aeiouscxzgh])e(?=s$)")
"""An e at the end of a word that is not spoken."""
LEFT_HANGING = frozenset(
    "a an and as at but by for from in is like my of on or our that the this to with your".split()
)


def wanted(text: str) -> str | None:
    """What a haiku is asked for about; `None` if the message asks for none."""
    if not re.search(r"\bhaiku\b", text, re.IGNORECASE):
        return None
    about = re.search(r"\b(?:about|on|of|for)\s+(.+)", text, re.IGNORECASE | re.DOTALL)
    return about[1].strip(" .!?\n") if about else "today"


def syllables(line: str) -> int:
    """The syllables of English words, by their groups of vowels: right for most, not for all."""
    return sum(len(re.findall("[aeiouy]+", SILENT.sub("", word))) or 1 for word in words(line))


def words(line: str) -> list[str]:
    return re.findall("[a-z]+", re.sub("['’]", "", line.lower()))


def flawed(line: str, earlier: Sequence[str]) -> bool:
    """Whether a line breaks off, has come before, is an example's, or has a word too long to be one."""
    found = words(line)
    known = [words(one) for one in (*earlier, *sum(SHOWN.values(), ()))]
    return not found or found in known or found[-1] in LEFT_HANGING or max(map(len, found)) > LONGEST_WORD


def demerits(line: str, earlier: Sequence[str], topic: str) -> tuple[bool, int, bool]:
    """What speaks against a line, the worst first: a flaw, syllables too many or few, no topic."""
    named = stems(" ".join([*earlier, line])) & stems(topic)
    return flawed(line, earlier), abs(syllables(line) - METRE[len(earlier)]), not named


async def written(client: AsyncOpenAI, model: str, topic: str) -> AsyncIterator[str]:
    """The poem line by line, each the best of the model's drafts; raises `openai.APIError`.

    It ends early if every draft is cut off.
    """
    lines: list[str] = []
    for name in NAMES:
        drafts: dict[str, tuple[bool, int, bool]] = {}
        for _ in range(ATTEMPTS):
            answer = await client.chat.completions.create(
                model=model,
                messages=prompt(topic),
                response_format=following(lines),
                n=DRAFTS,
                temperature=0.8,
                max_tokens=100,
            )
            whole = [choice.message.content for choice in answer.choices if choice.finish_reason == "stop"]
            found = [json.loads(content or "")[name] for content in whole]
            drafts |= {line: demerits(line, lines, topic) for line in found}
            if any(against[:2] == (False, 0) for against in drafts.values()):
                break
        if not drafts:
            return
        lines.append(min(drafts, key=drafts.__getitem__))
        yield "\n".join(lines)


def prompt(topic: str) -> list[ChatCompletionMessageParam]:
    """What a haiku is, two of them, and the topic."""
    before: list[str] = []
    for about, lines in SHOWN.items():
        before += f"A haiku about {about}", json.dumps(dict(zip(NAMES, lines, strict=True)))
    system = "You write haiku: three short lines of 5, 7 and 5 syllables."
    return dialogue(system, *before, f"A haiku about {topic}")


def following(lines: Sequence[str]) -> ResponseFormatJSONSchema:
    """The form of the lines that are chosen, and of one more: the model goes on from what it finds there."""
    found: dict[str, object] = {
        name: {"type": "string", "enum": [line]} for name, line in zip(NAMES, lines, strict=False)
    }
    return form(found | {NAMES[len(lines)]: {"type": "string", "pattern": LINES[len(lines)]}})

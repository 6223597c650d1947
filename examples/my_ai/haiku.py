"""A haiku on request: the model writes drafts of each line, code counts syllables and picks one."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence

from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam

from .memory import Exchange, laid_out, stems

METRE = (5, 7, 5)
DRAFTS = 24
LONGEST_WORD = 10
ASKED = ("The first line of a haiku about {}", "The second line", "The last line")
SHOWN = {
    "the sea": ("Waves roll to the shore", "The gulls cry over the sand", "Salt wind in my hair"),
    "winter": ("Snow falls on the roof", "A quiet fire burns inside", "The long night begins"),
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


async def written(client: AsyncOpenAI, model: str, topic: str) -> AsyncIterator[str]:
    """The lines one by one, each the best of the model's drafts; raises `openai.APIError`.

    The best has no flaw, the right number of syllables or nearly so, and names the topic if it can be had.
    """
    lines: list[str] = []
    for number in METRE:
        asked = prompt(topic, lines)
        answer = await client.chat.completions.create(
            model=model, messages=asked, n=DRAFTS, temperature=0.8, max_tokens=20, stop="\n"
        )
        drafts = [(choice.message.content or "").strip() for choice in answer.choices]
        named = {line: stems(" ".join([*lines, line])) & stems(topic) for line in drafts}
        off = {line: abs(syllables(line) - number) for line in drafts}
        lines.append(min(drafts, key=lambda line: (flawed(line, lines), off[line], not named[line])))
        yield lines[-1]


def prompt(topic: str, lines: Sequence[str]) -> list[ChatCompletionMessageParam]:
    """What a haiku is, two of them line by line, and what there is of one about the topic."""
    poems = [*SHOWN.items(), (topic, lines)]
    before = [
        Exchange(asked.format(about), line)
        for about, poem in poems
        for asked, line in zip(ASKED, poem, strict=False)
    ]
    return laid_out(
        "You write haiku: three short lines of 5, 7 and 5 syllables.", before, ASKED[len(lines)].format(topic)
    )

"""What a conversation is remembered by: its last turns as they were, and notes of those before."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import TypedDict

from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam

CHARACTERS_PER_TOKEN = 4
MOST_NOTES = 24
MOST_REMINDERS = 3
PERSONAL = re.compile(r"\b(?:i|my|me|we|our)\b", re.IGNORECASE)
ABOUT_ME = re.compile(r"\b(?:my|our|about me|am i|was i|did i|have i|(?<!how )do (?:i|we))\b", re.IGNORECASE)
STOP_WORDS = frozenset(
    "a an and are as at be been but can did do does for from had has have he her him his how i in is it its"
    " me my of on or our please she so some tell than that the their them then there they this to too us user"
    " was we were what when where which who why will with would you your called once said".split()
)
FORM = {
    "type": "json_schema",
    "json_schema": {
        "name": "note",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"note": {"type": "string", "pattern": '^The user[^"\\n.]{4,90}\\.$'}},
            "required": ["note"],
            "additionalProperties": False,
        },
    },
}
SHOWN = (
    ("Well, you know, my brother Tom is a baker in Leeds.", "My brother Tom is a baker in Leeds."),
    ("By the way, I moved to Paris last year!", "I moved to Paris last year."),
    ("Hello, I have two dogs, Rex and Fido.", "I have two dogs, Rex and Fido."),
)


class Turn(TypedDict):
    """One message of the conversation; `role` is `user` or `assistant`."""

    role: str
    content: str


def stems(text: str) -> set[str]:
    """The words that say something, cut so that forms of one word are alike."""
    words = re.findall(r"[^\W_]+", re.sub(r"['’]s?\b", "", text.lower()))
    return {word[:5].removesuffix("s") for word in words if word not in STOP_WORDS}


def sentences(text: str) -> list[str]:
    """The sentences of a text, each with the mark that ends it."""
    return [part.strip() for part in re.findall(r"[^.!?\n]+(?:[.!?]+|\n|$)", text) if part.strip()]


def tells(sentence: str) -> bool:
    """Whether a sentence says something about who says it."""
    return not sentence.endswith("?") and bool(PERSONAL.search(sentence))


def asks(text: str) -> bool:
    """Whether a message asks for something about who writes it."""
    return text.rstrip().endswith("?") and bool(ABOUT_ME.search(text))


def recent(turns: Sequence[Turn], tokens: int) -> int:
    """How many of the last turns fit into so many tokens, estimated; an answer stays with its question."""
    room = tokens * CHARACTERS_PER_TOKEN
    kept = 0
    for turn in reversed(turns):
        room -= len(turn["content"])
        if room < 0:
            break
        kept += 1
    while kept and turns[-kept]["role"] != "user":
        kept -= 1
    return kept


def reminders(text: str, known: Sequence[str]) -> list[str]:
    """What of `known` a question about the user is about: what matches it.

    Where nothing does it is the newest: "my job" has no word of "I am a nurse".
    """
    return matching(text, known) or list(reversed(known))[:MOST_REMINDERS]


def matching(text: str, known: Sequence[str]) -> list[str]:
    """The two of `known` that share most words with a message, newer ones first; those with none are not."""
    asked = stems(text)
    shared = [(len(stems(said) & asked), said) for said in reversed(known)]
    return [said for number, said in sorted(shared, key=lambda one: -one[0]) if number][:2]


def faithful(note: str, sentence: str) -> bool:
    """Whether a note has all names and numbers of a sentence, half of its words, and no others."""
    words, there = stems(note), stems(sentence)
    names = stems(" ".join(re.findall(r"(?<=\S )[^\W\d_]*[A-Z0-9]\w*|\d+", sentence)))
    return words <= there and names <= words and 2 * len(words) >= len(there)


async def noted(client: AsyncOpenAI, model: str, notes: Iterable[str], older: Sequence[Turn]) -> list[str]:
    """The notes, and what the user says of themselves in turns that no longer fit.

    The model puts each sentence in short; code keeps what is `faithful`, else the sentence itself: nothing is
    made up, and nothing is lost but the oldest of more than `MOST_NOTES`. Raises `openai.APIError`.
    """
    kept = list(notes)
    said = [one for turn in older if turn["role"] == "user" for one in sentences(turn["content"])]
    for sentence in filter(tells, said):
        note = await _note(client, model, sentence)
        kept.append(note if faithful(note, sentence) else sentence)
    return list(dict.fromkeys(kept))[-MOST_NOTES:]


async def _note(client: AsyncOpenAI, model: str, sentence: str) -> str:
    """What a sentence tells, in short; empty if the model did not get to the end."""
    messages: list[ChatCompletionMessageParam] = [
        {
            "role": "system",
            "content": "Put in short what the user tells about themselves, in their own words.",
        }
    ]
    for before, after in SHOWN:
        messages.append({"role": "user", "content": before})
        messages.append({"role": "assistant", "content": json.dumps({"note": after})})
    answer = await client.chat.completions.create(
        model=model,
        messages=[*messages, {"role": "user", "content": sentence}],
        response_format=FORM,
        temperature=0,
        max_tokens=60,
    )
    try:
        return str(json.loads(answer.choices[0].message.content or "")["note"])
    except ValueError:  # cut off
        return ""

"""The texts of a request and of its answer, as a monitor reads them. They compute for a while."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any, Literal, NamedTuple

import msgspec

from antiphon.moderation.scoring import MOST_CHARACTERS
from antiphon.values import Observation

MOST_PIECES = 256
"""Of one request, unless more of it are new: a longer conversation is read from its end."""


class Piece(NamedTuple):
    """`new`: it came with this request. A conversation's older messages came with earlier ones, as a rule."""

    side: Literal["input", "output"]
    text: str
    new: bool


def pieces(seen: Observation) -> list[Piece]:
    """Every text worth scoring, the newest first; what cannot be read has none. All that is new is among
    them, and of the rest as much as there is room for."""
    asked, answered = _document(seen.asked), _document(seen.answered)
    found = [Piece("output", text, True) for text in _answers(answered)]
    found += reversed([*_questions(asked, seen.heard)])
    whole = [one for one in found if one.text.strip()]
    room = max(0, MOST_PIECES - sum(one.new for one in whole))
    old = count()
    return [cut for one in whole if one.new or next(old) < room for cut in _cut(one)]


def _cut(piece: Piece) -> Iterator[Piece]:
    """What a scorer takes at once; a text that is longer in parts."""
    for at in range(0, len(piece.text), MOST_CHARACTERS):
        yield piece._replace(text=piece.text[at : at + MOST_CHARACTERS])


def _document(content: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(content)
    except msgspec.DecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _questions(asked: dict[str, Any], heard: Mapping[str, str]) -> Iterator[Piece]:
    messages = [one if isinstance(one, dict) else {} for one in _list(asked.get("messages"))]
    answers = [at for at, one in enumerate(messages) if one.get("role") == "assistant"]
    last = answers[-1] if answers else -1
    for at, message in enumerate(messages):
        for text in _said(message, heard, f"messages[{at}]"):
            yield Piece("input", text, at > last)
    for name in ("prompt", "input", "suffix"):
        for text in _texts(asked.get(name)):
            yield Piece("input", text, True)


def _answers(answered: dict[str, Any]) -> Iterator[str]:
    for choice in _list(answered.get("choices")):
        if not isinstance(choice, dict):
            continue
        message = choice.get("message")
        yield from _texts(choice.get("text"))
        yield from _said(message if isinstance(message, dict) else {})
    yield from _texts(answered.get("text"))


def _said(message: dict[str, Any], heard: Mapping[str, str] = {}, where: str = "") -> Iterator[str]:
    """The texts of a message, and what it calls functions with; `heard` is what its recordings say."""
    content = message.get("content")
    for number, part in enumerate(content if isinstance(content, list) else [content]):
        yield from _texts(part)
        if (said := heard.get(f"{where}.content[{number}]")) is not None:
            yield said
    calls = [one.get("function") for one in _list(message.get("tool_calls")) if isinstance(one, dict)]
    for function in (*calls, message.get("function_call")):
        if isinstance(function, dict):
            yield from _texts(function.get("arguments"))


def _texts(content: Any) -> Iterator[str]:
    """A text, several, or those of a message's parts. Tokens are none."""
    for one in content if isinstance(content, list) else [content]:
        text = one.get("text") if isinstance(one, dict) else one
        if isinstance(text, str):
            yield text


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []

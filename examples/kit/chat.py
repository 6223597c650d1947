"""What applications ask of a chat model: texts that grow, texts that have to hold, and objects of a form."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

from openai import AsyncStream
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam
from openai.types.shared_params import ResponseFormatJSONSchema

Begun = Awaitable[AsyncStream[ChatCompletionChunk]]
"""A completion that was asked for with `stream=True`."""
END = re.compile(r"[.!?…]+[\"”')]*(?=\s|$)")


def dialogue(system: str, *texts: str) -> list[ChatCompletionMessageParam]:
    """Messages: who the model is, and what the user and the model said in turn."""
    messages: list[ChatCompletionMessageParam] = [{"role": "system", "content": system}]
    for place, text in enumerate(texts):
        messages.append(
            {"role": "assistant", "content": text} if place % 2 else {"role": "user", "content": text}
        )
    return messages


def closed(fields: Mapping[str, object]) -> dict[str, object]:
    """The JSON schema of an object with these fields and no others, each of which has a schema."""
    return {"type": "object", "properties": fields, "required": [*fields], "additionalProperties": False}


def form(fields: Mapping[str, object]) -> ResponseFormatJSONSchema:
    """The response format of such an object."""
    return {"type": "json_schema", "json_schema": {"name": "form", "strict": True, "schema": closed(fields)}}


def first(sentences: int, text: str) -> str:
    """The text up to the end of so many sentences, once something has come after it; else all of it."""
    ends = [found.end() for found in END.finditer(text) if found.end() < len(text)]
    return text[: ends[sentences - 1]] if len(ends) >= sentences else text


async def growing(begun: Begun, sentences: int = 0) -> AsyncIterator[str]:
    """The text as far as it is written, longer each time; it may be ended after so many sentences.

    Raises `openai.APIError`.
    """
    text = ""
    async with await begun as chunks:
        async for chunk in chunks:
            if not chunk.choices or not (piece := chunk.choices[0].delta.content):
                continue
            text += piece
            whole = first(sentences, text) if sentences else text
            yield whole
            if whole != text:
                return


async def held(
    begin: Callable[..., Begun],
    temperatures: Sequence[float],
    holds: Callable[[str], bool],
    sentences: int = 0,
) -> AsyncIterator[tuple[str, bool | None]]:
    """A text as far as it is written, and in the end whether it holds; `None` for as long as that is open.

    One that does not hold is begun anew, at the next temperature. Raises `openai.APIError`.
    """
    text = ""
    for temperature in temperatures:
        text = ""
        async for text in growing(begin(temperature=temperature), sentences):
            yield text, None
        if holds(text.strip()):
            yield text, True
            return
    yield text, False

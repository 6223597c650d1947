"""What a server of OpenAI's API answers: the chunks of one choice, and what an error of it means."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from http import HTTPStatus

import msgspec

from antiphon.errors import (
    AntiphonError,
    ConfigurationError,
    EngineFailed,
    EngineRefused,
    InvalidRequest,
)
from antiphon.values import CallDelta, Delta, FinishReason, TokenLogprob, TopLogprob, Usage
from antiphon.wire.openai import CallPiece, Choice, Chunk, Counts, Logprobs

_FINISH: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}
_END = b"[DONE]"
_AT_FAULT = {HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY}
_TOO_LONG = re.compile(rb"context_length_exceeded|exceed_context_size|context (?:length|size|window)", re.I)
"""How OpenAI and Antiphon, llama.cpp, vLLM and SGLang say that a prompt is too long."""


class Reading:
    """One choice, while it is read. `counted` are its tokens: as the server counts along, or its pieces."""

    def __init__(self, index: int) -> None:
        self._index = index
        self._counts = Counts()
        self._begun: set[int] = set()
        """The calls that have begun."""
        self._finished = False
        self.counted = 0
        self.ended = False
        """Whether the server says that all is said."""

    def take(self, event: bytes) -> list[Delta]:
        """What an event says. Raises `EngineFailed` for an error, or what makes no sense."""
        if event == _END:
            self.ended = True
            return []
        chunk = _decoded(event)
        said = any(choice.delta.content or choice.delta.tool_calls for choice in chunk.choices)
        if chunk.usage is not None:
            self._counts = chunk.usage
        if chunk.usage is not None and chunk.usage.completion_tokens:
            self.counted = chunk.usage.completion_tokens
        elif chunk.timings is not None and chunk.timings.predicted_n is not None:
            self.counted = chunk.timings.predicted_n
        elif said:
            self.counted += 1
        return [self._delta(choice) for choice in chunk.choices]

    def usage(self, prompt: int) -> Usage:
        """Of the whole choice, as the server says it; what it does not say, as it was counted here: `prompt`
        tokens, and as many in the answer as were `counted`.

        Raises `EngineFailed` unless the answer is whole.
        """
        if not (self.ended and self._finished):
            raise EngineFailed("The engine ended an answer early.", retry_after=1)
        read = self._counts.prompt_tokens or prompt
        details = self._counts.prompt_tokens_details
        return Usage(
            prompt_tokens=read,
            cached_tokens=min(read, (details and details.cached_tokens) or 0),
            completion_tokens=self._counts.completion_tokens or self.counted,
        )

    def _delta(self, choice: Choice) -> Delta:
        calls = tuple(self._call(piece) for piece in choice.delta.tool_calls or ())
        finish = _finish(choice.finish_reason, called=bool(self._begun))
        self._finished |= finish is not None
        logprobs = tuple(_logprobs(choice.logprobs))
        return Delta(self._index, choice.delta.content or "", logprobs, finish, self.counted, calls)

    def _call(self, piece: CallPiece) -> CallDelta:
        arguments = (piece.function and piece.function.arguments) or ""
        if piece.index in self._begun:
            return CallDelta(piece.index, arguments=arguments)
        name = (piece.function and piece.function.name) or ""
        if not name or piece.index != len(self._begun):
            raise _unreadable()
        self._begun.add(piece.index)
        return CallDelta(piece.index, piece.id or f"call_{secrets.token_hex(12)}", name, arguments)


def refusal(status: int, content: bytes) -> AntiphonError:
    """What an answer other than 200 means, in words of our own: its may quote the prompt."""
    if status in _AT_FAULT and _TOO_LONG.search(content):
        return InvalidRequest(
            "This model's maximum context length is exceeded. Please reduce the length of the messages.",
            param="messages",
            code="context_length_exceeded",
        )
    if status in _AT_FAULT:
        return EngineRefused(f"The engine refused the request with status {status}.", retry_after=1)
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return ConfigurationError(
            f"The key is refused with status {status}", fix="put one that holds into its `key_file`"
        )
    if status == HTTPStatus.NOT_FOUND:
        return ConfigurationError("There is no such path or model", fix="mend `url` and `model`")
    return EngineFailed(f"The engine failed with status {status}.", retry_after=1)


def _decoded(event: bytes) -> Chunk:
    try:
        chunk = msgspec.json.decode(event, type=Chunk)
    except msgspec.DecodeError:
        raise _unreadable() from None
    if isinstance(chunk.error, dict) and chunk.error.get("code") == HTTPStatus.BAD_REQUEST:
        raise EngineRefused("The engine refused the request.", retry_after=1)
    if chunk.error is not None:
        raise EngineFailed("The engine failed while answering.", retry_after=1)
    return chunk


def _finish(reason: str | None, *, called: bool) -> FinishReason | None:
    if not reason:
        return None
    if reason not in _FINISH:
        raise EngineFailed("The engine failed while answering.", retry_after=1)
    return "tool_calls" if called and reason == "stop" else _FINISH[reason]


def _logprobs(found: Logprobs | None) -> Iterator[TokenLogprob]:
    for chosen in (found and found.content) or ():
        top = [TopLogprob(one.token, one.logprob, one.bytes) for one in chosen.top_logprobs or ()]
        yield TokenLogprob(chosen.token, chosen.logprob, chosen.bytes, top)


def _unreadable() -> EngineFailed:
    return EngineFailed("The engine sent something unreadable.", retry_after=1)

"""What clients were handed and therefore pay, from nothing but the bytes that a recorder saw on their way."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from recorder import Exchange

from antiphon.values import Usage

_DONE = b"data: [DONE]"


@dataclass(frozen=True)
class Speech:
    """A recording as a model understands it: seconds of sound, and where its segments end."""

    seconds: float
    texts: Sequence[str]
    ends: Sequence[float]


def whole_chat(exchange: Exchange) -> Usage:
    """Of an answer that is not streamed: all of it, or nothing."""
    return _chat(json.loads(exchange.body)["usage"]) if exchange.status == 200 and exchange.whole else Usage()


def streamed_chat(exchange: Exchange, prompt_tokens: int) -> Usage:
    """Of a stream with log probabilities, which show every token."""
    frames = _frames(exchange)
    if not frames:
        return Usage()
    tokens = _tokens(frames)
    if frames[-1]["usage"] is not None:
        usage = _chat(frames[-1]["usage"])
        assert (usage.prompt_tokens, usage.completion_tokens) == (prompt_tokens, tokens)
        return usage
    return Usage(prompt_tokens=prompt_tokens, completion_tokens=tokens)


def whole_speech(exchange: Exchange, speech: Speech) -> Usage:
    """Of a transcript that is not streamed, in any format."""
    if exchange.status != 200 or not exchange.whole:
        return Usage()
    if exchange.body.startswith(b'{"'):
        assert json.loads(exchange.body)["usage"]["seconds"] == math.ceil(speech.seconds)
    return Usage(seconds=speech.seconds)


def streamed_speech(exchange: Exchange, speech: Speech) -> Usage:
    """Of a streamed transcript: to its end, or to the end of the last segment."""
    frames = _frames(exchange)
    if frames and frames[-1]["type"] == "transcript.text.done":
        assert frames[-1]["usage"]["seconds"] == math.ceil(speech.seconds)
        return Usage(seconds=speech.seconds)
    for frame, text in zip(frames, speech.texts, strict=False):
        assert frame["delta"].strip() == text.strip()
    return Usage(seconds=min(speech.ends[len(frames) - 1], speech.seconds) if frames else 0.0)


def _chat(usage: dict[str, Any]) -> Usage:
    return Usage(
        prompt_tokens=usage["prompt_tokens"],
        cached_tokens=usage["prompt_tokens_details"]["cached_tokens"],
        completion_tokens=usage["completion_tokens"],
    )


def _tokens(frames: Sequence[dict[str, Any]]) -> int:
    """Tokens that the engine had counted in the last frame of each choice, summed."""
    tokens: Counter[int] = Counter()
    for choice in (choice for frame in frames for choice in frame["choices"]):
        shown = choice["logprobs"]["content"] if choice["logprobs"] else []
        # A token whose characters are not whole yet is held back and shows no log probability. Here every
        # text is the bytes of its tokens, so nothing was.
        assert (choice["delta"].get("content") or "").encode() == b"".join(
            bytes(one["bytes"]) for one in shown
        )
        tokens[choice["index"]] += len(shown)
        # The token that ends an answer is counted and has no text.
        tokens[choice["index"]] += choice["finish_reason"] == "stop"
    return tokens.total()


def _frames(exchange: Exchange) -> list[dict[str, Any]]:
    """The complete events of a stream, without its end."""
    if exchange.status != 200:
        return []
    events = exchange.body.split(b"\n\n")[:-1]
    return [json.loads(event.removeprefix(b"data: ")) for event in events if event != _DONE]

"""The private protocol of processes that read text, as llama.cpp has it: tokens, answers in frames, vectors.

An answer of `/completion` is a stream of server-sent events, one `CompletionFrame` each; the last has `stop`
set. An error before the first is an answer of its own, a later one takes the place of a frame. No logic.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Tokens(msgspec.Struct, frozen=True):
    """The answer of `/tokenize`, and the body of `/detokenize`."""

    tokens: list[int]


class Text(msgspec.Struct, frozen=True):
    """The answer of `/detokenize`."""

    content: str


class Vector(msgspec.Struct, frozen=True):
    """`embedding` is base64 of 32-bit floats."""

    index: int
    embedding: str


class Vectors(msgspec.Struct, frozen=True):
    """The answer of `/v1/embeddings`."""

    data: list[Vector]


class Probability(msgspec.Struct, frozen=True):
    """A token and its natural-log probability; `bytes` may be a part of a character."""

    token: str
    logprob: float
    bytes: list[int]
    top_logprobs: list[Probability] = []


class Timings(msgspec.Struct, frozen=True):
    """`cache_n`: tokens of the prompt that did not have to be computed."""

    cache_n: int = 0


class CompletionFrame(msgspec.Struct, frozen=True, omit_defaults=True):
    """A piece of an answer, with the number of tokens generated so far.

    `stop_type`, in the last: `eos` where the model ended, `word` where a stop sequence stood, `limit` where
    the answer was cut off.
    """

    content: str = ""
    stop: bool = False
    stop_type: str = ""
    tokens_predicted: int = 0
    completion_probabilities: list[Probability] = []
    timings: Timings = Timings()
    error: Any = None

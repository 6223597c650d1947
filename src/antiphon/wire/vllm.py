"""The answers of vLLM's `/v1/completions`, as far as they are read: chunks of a stream. No logic.

Each chunk has the tokens counted so far; the last has no choices, but the usage of all.
"""

from __future__ import annotations

import msgspec


class Logprobs(msgspec.Struct, frozen=True):
    """Of each token of a chunk, in order; a token is written as `token_id:<number>`."""

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None] | None = None


class Choice(msgspec.Struct, frozen=True):
    """`finish_reason`, in the last of an answer: `stop`, `length`, or what went wrong."""

    text: str = ""
    finish_reason: str | None = None
    logprobs: Logprobs | None = None


class PromptDetails(msgspec.Struct, frozen=True):
    """`cached_tokens`: tokens of the prompt that did not have to be computed."""

    cached_tokens: int | None = None


class Counts(msgspec.Struct, frozen=True):
    """Tokens so far; the details are in the last chunk alone."""

    completion_tokens: int = 0
    prompt_tokens_details: PromptDetails | None = None


class Failure(msgspec.Struct, frozen=True):
    """`code` is a status of HTTP."""

    code: int = 500


class Chunk(msgspec.Struct, frozen=True):
    """A piece of an answer. `error`, in the place of all else, ends it."""

    choices: list[Choice] = []
    usage: Counts | None = None
    error: Failure | None = None

"""What servers of OpenAI's API answer, as far as it is read: lists of models, chunks of a chat. No logic.

Servers differ in what they leave out and in what they write as null.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

Count = Annotated[int, Meta(ge=0)]


class Meant(msgspec.Struct, frozen=True):
    """A model as listed. Servers say whose they are in `owned_by`; vLLM and SGLang tell its context."""

    id: str
    owned_by: str | None = None
    max_model_len: int | None = None
    stand_in: bool | None = None
    """Of an Antiphon alone."""


class Models(msgspec.Struct, frozen=True):
    data: list[Meant]


class FunctionPiece(msgspec.Struct, frozen=True):
    name: str | None = None
    arguments: str | None = None


class CallPiece(msgspec.Struct, frozen=True):
    """A piece of a call; the first of a call has its id and the name of its function."""

    index: Count = 0
    id: str | None = None
    function: FunctionPiece | None = None


class Piece(msgspec.Struct, frozen=True):
    content: str | None = None
    tool_calls: list[CallPiece] | None = None


class Likely(msgspec.Struct, frozen=True):
    token: str
    logprob: float
    bytes: list[int] | None = None


class Chosen(Likely, frozen=True):
    top_logprobs: list[Likely] | None = None


class Logprobs(msgspec.Struct, frozen=True):
    content: list[Chosen] | None = None


class Choice(msgspec.Struct, frozen=True):
    delta: Piece = Piece()
    finish_reason: str | None = None
    logprobs: Logprobs | None = None


class PromptDetails(msgspec.Struct, frozen=True):
    cached_tokens: Count | None = None


class Counts(msgspec.Struct, frozen=True):
    """Of the whole answer, or of what there is of it."""

    prompt_tokens: Count = 0
    completion_tokens: Count = 0
    prompt_tokens_details: PromptDetails | None = None


class Timings(msgspec.Struct, frozen=True):
    """Of llama.cpp alone: `predicted_n` tokens were generated so far."""

    predicted_n: Count | None = None


class Chunk(msgspec.Struct, frozen=True):
    """A piece of an answer. `error`, in the place of all else, ends it."""

    choices: list[Choice] = []
    usage: Counts | None = None
    timings: Timings | None = None
    error: Any = None


class SpokenSegment(msgspec.Struct, frozen=True):
    start: float | None = None
    end: float | None = None
    text: str = ""
    seek: int | None = None
    tokens: list[int] | None = None
    temperature: float | None = None
    avg_logprob: float | None = None
    compression_ratio: float | None = None
    no_speech_prob: float | None = None


class SpokenWord(msgspec.Struct, frozen=True):
    word: str
    start: float
    end: float


class Spoken(msgspec.Struct, frozen=True):
    """A transcript, as `json` (its text alone) or as `verbose_json`."""

    text: str
    language: str | None = None
    segments: list[SpokenSegment] | None = None
    words: list[SpokenWord] | None = None


class Tokens(msgspec.Struct, frozen=True):
    """What vLLM, llama.cpp and Antiphon tell of a prompt."""

    tokens: list[Count]


class Template(msgspec.Struct, frozen=True):
    """What llama.cpp makes of a conversation."""

    prompt: str

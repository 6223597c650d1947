"""The shapes of `POST /v1/completions`, as clients send and read them. No logic.

Optional request fields accept an explicit null, which means the default. `fields.COMPLETION` says what
becomes of each of them.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from antiphon.wire.chat import CompletionUsage
from antiphon.wire.sampling import SamplingRequest

TokenId = Annotated[int, Meta(ge=0, le=2**31 - 1)]
TokenIds = Annotated[list[TokenId], Meta(min_length=1)]


class CompletionRequest(SamplingRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of a completion request: `prompt` is one text or several, or the tokens of one or several."""

    prompt: str | Annotated[list[str | TokenId | TokenIds], Meta(min_length=1)] | None = None
    max_tokens: Annotated[int, Meta(ge=0, le=2**31 - 1)] | None = None
    best_of: Annotated[int, Meta(ge=1, le=20)] | None = None
    echo: bool | None = None
    logprobs: Annotated[int, Meta(ge=0, le=5)] | None = None
    suffix: str | None = None


TextFinish = Literal["stop", "length", "content_filter"]


class TextLogprobs(msgspec.Struct, frozen=True, kw_only=True):
    """Four lists of one entry for each token, as before the chat API.

    A token whose bytes are no text is written `bytes:\\xe2\\x82`. `text_offset` counts characters from the
    beginning of the prompt, whether that is echoed or not. `top_logprobs` is null where none were asked for.
    """

    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]] | None
    text_offset: list[int]


class TextChoice(msgspec.Struct, frozen=True, kw_only=True):
    """One choice, or a piece of it; `index` counts the choices prompt by prompt."""

    text: str
    index: int
    logprobs: TextLogprobs | None = None
    finish_reason: TextFinish | None = None


class TextCompletion(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer, and each event of a streamed one, where `usage` is present only if it was asked for."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[TextChoice]
    usage: CompletionUsage | None | UnsetType = UNSET
    system_fingerprint: str

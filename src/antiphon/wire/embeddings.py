"""The shapes of `POST /v1/embeddings`, as clients send and read them. No logic.

Optional request fields accept an explicit null, which means the default. `fields.EMBEDDING` says what becomes
of each of them.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from antiphon.wire.completions import TokenId, TokenIds
from antiphon.wire.sampling import ModelName, ShortText

Input = Annotated[str, Meta(min_length=1)]


class EmbeddingRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of a request: `input` is one text or several, or the tokens of one or several."""

    input: Input | Annotated[list[Input | TokenId | TokenIds], Meta(min_length=1)]
    model: ModelName
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Meta(ge=1, le=2**31 - 1)] | None = None
    user: ShortText | None = None


Numbers = Annotated[
    msgspec.Raw,
    Meta(extra_json_schema={"anyOf": [{"type": "array", "items": {"type": "number"}}, {"type": "string"}]}),
]
"""A vector: an array of numbers, or base64 of little-endian 32-bit floats."""


class Embedding(msgspec.Struct, frozen=True, kw_only=True):
    """The vector of one input, by the input's place."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: Numbers


class EmbeddingUsage(msgspec.Struct, frozen=True, kw_only=True):
    prompt_tokens: int
    total_tokens: int


class EmbeddingList(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: EmbeddingUsage

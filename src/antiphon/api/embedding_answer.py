"""From vectors to the answer of `POST /v1/embeddings`: it computes, and for a while if there are many."""

from __future__ import annotations

import math
from array import array
from base64 import b64encode
from collections.abc import Sequence
from typing import Literal

import msgspec

from antiphon.values import Usage
from antiphon.wire.embeddings import Embedding, EmbeddingList, EmbeddingUsage

Encoding = Literal["float", "base64"]


def embedding_list(
    model: str, vectors: Sequence[bytes], usage: Usage, *, dimensions: int | None, encoding: Encoding
) -> bytes:
    """The answer as JSON: each vector with its first `dimensions` numbers, brought to length 1 again."""
    data = []
    for index, vector in enumerate(vectors):
        numbers = array("f", vector)  # little-endian, as is every machine that is served
        if dimensions is not None and dimensions < len(numbers):
            numbers = _unit(numbers[:dimensions])
        written = _base64(numbers) if encoding == "base64" else _floats(numbers)
        data.append(Embedding(index=index, embedding=msgspec.Raw(written)))
    tokens = usage.prompt_tokens
    told = EmbeddingUsage(prompt_tokens=tokens, total_tokens=tokens)
    return msgspec.json.encode(EmbeddingList(data=data, model=model, usage=told))


def _unit(numbers: array[float]) -> array[float]:
    """The same direction, of length 1; what has no direction stays as it is."""
    length = math.hypot(*numbers)
    return array("f", (number / length for number in numbers)) if length else numbers


def _base64(numbers: array[float]) -> bytes:
    return b'"' + b64encode(numbers.tobytes()) + b'"'


def _floats(numbers: array[float]) -> bytes:
    """As JSON, in as many digits as tell one 32-bit float from the next: half of what a Python float has."""
    return f"[{','.join(f'{number:.9g}' for number in numbers)}]".encode()

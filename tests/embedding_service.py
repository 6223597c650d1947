"""The API with a scripted engine of embeddings behind it: a token for each word, vectors that are known."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from antiphon.values import Feature, RawPrompt
from service import Service, serving

MODEL = "tiny-embedding-2024-01-01"
WIDTH, SHORTER, CONTEXT = 4, 2, 8
EVEN, ODD = [0.5, -0.5, 0.5, 0.5], [-0.5, -0.5, 0.5, 0.5]
PRICE = 20_000
"""Nano-dollars for a token."""
MODELS: dict[str, Any] = {
    "snapshots": {
        MODEL: {
            "task": "embedding",
            "engine": "llama_embeddings",
            "owned_by": "local",
            "licence": "MIT",
            "released": "2024-01-01",
            "context": CONTEXT,
            "pooling": "cls",
            "dimensions": [WIDTH, SHORTER],
            "prices": [{"since": "2023-03-01", "input": "0.02"}],
            "source": {"kind": "path", "path": "/models"},
            "files": [{"name": "m.gguf", "size": 1, "sha256": "0" * 64}],
        }
    },
    "aliases": {"text-embedding-3-small": {"snapshot": MODEL}},
}


def unit(tokens: Sequence[int]) -> bytes:
    """The vector of an input, of length 1: one for an even number of tokens, another for an odd one."""
    even = len(tokens) % 2 == 0
    return array("f", EVEN if even else ODD).tobytes()


class ScriptedEmbeddings:
    """Embeds as `unit` does, once `gate` is open; `inputs` are what it was given, `running` who is at it."""

    def __init__(self, vector: Callable[[Sequence[int]], bytes] = unit) -> None:
        self.counts = True
        self.tells_calls = False
        self.cannot: frozenset[Feature] = frozenset()
        self.inputs: list[tuple[int, ...]] = []
        self.running = 0
        self.begun = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self._vector = vector

    async def tokenize(self, inputs: Sequence[RawPrompt]) -> list[tuple[int, ...]]:
        return [tuple(range(len(one.split()))) if isinstance(one, str) else one for one in inputs]

    async def embed(self, inputs: Sequence[tuple[int, ...]]) -> AsyncGenerator[bytes, None]:
        self.running += 1
        self.begun.set()
        try:
            for one in inputs:
                await self.gate.wait()
                self.inputs.append(one)
                yield self._vector(one)
        finally:
            self.running -= 1


def embedding(
    home: Path,
    engine: ScriptedEmbeddings | None = None,
    changed: Mapping[str, Any] = {},
    **options: Any,
) -> AbstractAsyncContextManager[Service]:
    """See `service.serving`; what is `changed` of the model counts."""
    snapshots = {MODEL: {**MODELS["snapshots"][MODEL], **changed}}
    models = {**MODELS, "snapshots": snapshots}
    return serving(home, engine or ScriptedEmbeddings(), models=models, **options)


async def embed(service: Service, headers: dict[str, str] | None = None, **fields: Any) -> Any:
    """Status, headers and body of a request for embeddings."""
    body = {"model": "text-embedding-3-small", "input": "one two", **fields}
    return await service.call("POST", "/v1/embeddings", json=body, headers=headers or {})

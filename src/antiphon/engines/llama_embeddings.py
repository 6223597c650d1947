"""llama.cpp through `xllamacpp` as an engine of embeddings: GGUF models that read a text as a whole.

Inputs are tokenized without looking for special tokens in them, and sent as tokens, like prompts of chats.
"""

from __future__ import annotations

import asyncio
import binascii
import math
from array import array
from base64 import b64decode
from collections.abc import AsyncGenerator, Collection, Iterator, Sequence
from importlib.metadata import version

import msgspec

from antiphon.address import Address
from antiphon.engines import llama, raw, vocabulary
from antiphon.engines.base import EngineKind
from antiphon.engines.completion import tokenized
from antiphon.engines.upstream import Upstream
from antiphon.errors import EngineFailed
from antiphon.settings import Settings
from antiphon.values import Deployment, RawPrompt
from antiphon.wire.completion import Vectors

_OFF = 0.01
"""How far from 1 the length of a vector may be; whatever is no number is further."""

Tokens = tuple[int, ...]


class LlamaEmbeddingEngine:
    """The client of one llama.cpp process that embeds."""

    def __init__(self, deployment: Deployment, address: Address) -> None:
        self._deployment = deployment
        self._upstream = Upstream(address)
        self._vocabulary_size = 0

    async def probe(self) -> Collection[str]:
        if not self._vocabulary_size:
            self._vocabulary_size = (await asyncio.to_thread(vocabulary.read, self._deployment.model)).size
        # Unlike /health, this is answered by the loop that computes.
        await self._upstream.get("/lora-adapters")
        return ()

    async def close(self) -> None:
        await self._upstream.close()

    async def tokenize(self, inputs: Sequence[RawPrompt]) -> list[Tokens]:
        return [await self._tokens(one) for one in inputs]

    async def _tokens(self, one: RawPrompt) -> Tokens:
        if isinstance(one, str):
            return await tokenized(self._upstream, [one], framed=True)
        raw.require_known(one, self._vocabulary_size, "input")
        return one

    async def embed(self, inputs: Sequence[Tokens]) -> AsyncGenerator[bytes, None]:
        """See `EmbeddingEngine.embed`.

        Of one request no more is with the engine at a time than it computes in one step, so that requests
        take turns step by step, and one that is given up has at most one step left.
        """
        for group in groups(inputs, self._deployment.context, self._deployment.slots):
            body = {"input": group, "encoding_format": "base64"}
            answer = await self._upstream.post("/v1/embeddings", body)
            for vector in _vectors(answer, len(group)):
                yield vector


def groups(inputs: Sequence[Tokens], most_tokens: int, most_inputs: int) -> Iterator[Sequence[Tokens]]:
    """The inputs in their order, in groups of at most so many tokens and inputs; a longer one is alone."""
    begin, tokens = 0, 0
    for at, one in enumerate(inputs):
        if at > begin and (at - begin == most_inputs or tokens + len(one) > most_tokens):
            yield inputs[begin:at]
            begin, tokens = at, 0
        tokens += len(one)
    if begin < len(inputs):
        yield inputs[begin:]


def _vectors(answer: bytes, count: int) -> list[bytes]:
    """The vectors of an answer, which has to have `count` of them."""
    try:
        found = sorted(msgspec.json.decode(answer, type=Vectors).data, key=lambda vector: vector.index)
        vectors = [b64decode(one.embedding, validate=True) for one in found]
        sound = len(found) == count and all(abs(_length(vector) - 1) < _OFF for vector in vectors)
    except (msgspec.DecodeError, binascii.Error, ValueError):
        sound = False
    if not sound:
        raise EngineFailed("The engine sent something that is no vector.", retry_after=1)
    return vectors


def _length(vector: bytes) -> float:
    return math.hypot(*array("f", vector))


def _command(deployments: Sequence[Deployment], settings: Settings, address: Address) -> list[str]:
    [deployment] = deployments
    return [*llama.command(deployments, settings, address), "--pooling", deployment.options["pooling"]]


def _connect(deployments: Sequence[Deployment], settings: Settings, address: Address) -> LlamaEmbeddingEngine:
    [deployment] = deployments
    return LlamaEmbeddingEngine(deployment, address)


ENGINE = EngineKind(
    name="llama_embeddings",
    task="embedding",
    reads=frozenset({"gguf"}),
    version=lambda settings: version("xllamacpp"),
    command=_command,
    connect=_connect,
)

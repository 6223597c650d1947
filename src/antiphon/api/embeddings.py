"""`POST /v1/embeddings`: vectors of texts."""

from __future__ import annotations

import asyncio
from functools import partial

import msgspec

from antiphon.api import body, lifecycle
from antiphon.api.embedding_answer import embedding_list
from antiphon.api.embedding_job import embedding_job
from antiphon.api.exchange import Exchange
from antiphon.api.idempotency import Idempotency
from antiphon.inference.embeddings import MOST_TOKENS, Embeddings
from antiphon.settings import Settings
from antiphon.wire.embeddings import EmbeddingRequest

_VALUES = MOST_TOKENS + 10_000
"""Values that a body may have: as many tokens as are served, and some room to be told of too many."""


class EmbeddingApi:
    """The handlers of the routes of embeddings."""

    def __init__(self, settings: Settings, embeddings: Embeddings, idempotency: Idempotency) -> None:
        self._settings = settings
        self._embeddings = embeddings
        self._idempotency = idempotency

    async def create_embedding(self, exchange: Exchange) -> None:
        content = await body.receive(exchange, self._settings.json_bytes)
        request = await body.decode(content, EmbeddingRequest, values=_VALUES)
        await self._idempotency.answer(exchange, [content], partial(self._answer, exchange, request))

    async def create_engine_embedding(self, exchange: Exchange) -> None:
        """The same under `/v1/engines/{model}/`, where the 2023 client sends a request with `engine=`."""
        content = await body.receive(exchange, self._settings.json_bytes)
        sent = await body.decode(content, EngineEmbeddingRequest, values=_VALUES)
        request = msgspec.structs.replace(sent, model=exchange.parameters["model"])
        await self._idempotency.answer(exchange, [content], partial(self._answer, exchange, request))

    async def _answer(self, exchange: Exchange, request: EmbeddingRequest) -> None:
        job = await asyncio.to_thread(embedding_job, request)
        answering = self._embeddings.answer(exchange.known_caller, job, exchange.id, exchange.show)
        async with answering as answer:
            exchange.result_headers.update(lifecycle.headers(answer.snapshot))
            if exchange.recording is not None:
                exchange.recording.charged = answer.charged
            embedded = await answer.embedded()
        if exchange.watched:
            exchange.tell("embedding", answer.snapshot.id, b"", whole=True)
        # The answer is paid, and the engine's place is free again, before it is written.
        whole = await asyncio.to_thread(
            embedding_list,
            answer.snapshot.id,
            embedded.vectors,
            embedded.usage,
            dimensions=job.dimensions,
            encoding=request.encoding_format or "float",
        )
        await exchange.answer(whole)


class EngineEmbeddingRequest(EmbeddingRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request for embeddings whose model is named by its path."""

    model: str = ""

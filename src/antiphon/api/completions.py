"""`POST /v1/completions`, streamed and not: the endpoint from before the chat API."""

from __future__ import annotations

import uuid
from functools import partial

import msgspec

from antiphon.api import body
from antiphon.api.completion_answer import CompletionWriter
from antiphon.api.completion_job import completion_job
from antiphon.api.exchange import Exchange
from antiphon.api.idempotency import Idempotency
from antiphon.api.writer import write
from antiphon.inference.completions import Completions
from antiphon.settings import Settings
from antiphon.wire.completions import CompletionRequest


class CompletionApi:
    """The handlers of the routes of completions."""

    def __init__(self, settings: Settings, completions: Completions, idempotency: Idempotency) -> None:
        self._settings = settings
        self._completions = completions
        self._idempotency = idempotency

    async def create_completion(self, exchange: Exchange) -> None:
        content = await body.receive(exchange, self._settings.json_bytes)
        request = await body.decode(content, CompletionRequest)
        await self._idempotency.answer(exchange, [content], partial(self._answer, exchange, request))

    async def create_engine_completion(self, exchange: Exchange) -> None:
        """The same under `/v1/engines/{model}/`, where the 2023 client sends a request with `engine=`."""
        content = await body.receive(exchange, self._settings.json_bytes)
        sent = await body.decode(content, EngineCompletionRequest)
        request = msgspec.structs.replace(sent, model=exchange.parameters["model"])
        await self._idempotency.answer(exchange, [content], partial(self._answer, exchange, request))

    async def _answer(self, exchange: Exchange, request: CompletionRequest) -> None:
        job = completion_job(request, f"cmpl-{uuid.uuid4().hex}")
        answering = self._completions.answer(exchange.known_caller, job, exchange.id, exchange.show)
        await write(exchange, answering, partial(CompletionWriter, job), request, "completion")


class EngineCompletionRequest(CompletionRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A completion request whose model is named by its path."""

    model: str = ""

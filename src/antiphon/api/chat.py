"""`POST /v1/chat/completions`, streamed and not, and the rendered prompt."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from functools import partial

import msgspec

from antiphon.api import body
from antiphon.api.chat_answer import ChatWriter
from antiphon.api.chat_audio import Hearing, recordings
from antiphon.api.chat_job import chat_job
from antiphon.api.exchange import Exchange
from antiphon.api.idempotency import Idempotency
from antiphon.api.writer import write
from antiphon.inference.chat import Chat
from antiphon.settings import Settings
from antiphon.values import ChatJob
from antiphon.wire.chat import ChatRequest, RenderedPrompt


class ChatApi:
    """The handlers of the chat routes."""

    def __init__(self, settings: Settings, chat: Chat, hearing: Hearing, idempotency: Idempotency) -> None:
        self._settings = settings
        self._chat = chat
        self._hearing = hearing
        self._idempotency = idempotency

    async def create_chat_completion(self, exchange: Exchange) -> None:
        content = await body.receive(exchange, self._settings.json_bytes)
        request = await body.decode(content, ChatRequest)
        await self._idempotency.answer(exchange, [content], partial(self._answer, exchange, request))

    async def create_engine_chat_completion(self, exchange: Exchange) -> None:
        """The same under `/v1/engines/{model}/`, where the 2023 client sends a request with `engine=`."""
        content = await body.receive(exchange, self._settings.json_bytes)
        sent = await body.decode(content, EngineChatRequest)
        request = msgspec.structs.replace(sent, model=exchange.parameters["model"])
        await self._idempotency.answer(exchange, [content], partial(self._answer, exchange, request))

    async def render_chat_completion(self, exchange: Exchange) -> None:
        """What the model would read of such a request: the rendered prompt, its tokens and their number."""
        request = await body.read(exchange, ChatRequest, self._settings.json_bytes)
        job = await _job(request, exchange.id, {})
        snapshot, prompt = await self._chat.render(exchange.known_caller, job)
        await exchange.answer_json(
            RenderedPrompt(
                model=snapshot.id,
                prompt=prompt.text,
                token_count=len(prompt.tokens),
                tokens=list(prompt.tokens),
            )
        )

    async def _answer(self, exchange: Exchange, request: ChatRequest) -> None:
        job_id = f"chatcmpl-{uuid.uuid4().hex}"
        heard: dict[str, str] = {}
        if (found := recordings(request.messages)) and (
            hears := self._chat.hears(exchange.known_caller, request.model)
        ):
            chat_job(request, job_id, dict.fromkeys(found, ""))  # what is wrong shall be told first
            exchange.heard = heard = await self._hearing.texts(exchange, hears, found)
        job = await _job(request, job_id, heard)
        answering = self._chat.answer(exchange.known_caller, job, exchange.id, exchange.show)
        writer = partial(ChatWriter, job, legacy=bool(request.functions))
        await write(exchange, answering, writer, request, "chat")


async def _job(request: ChatRequest, job_id: str, heard: Mapping[str, str]) -> ChatJob:
    if request.tools or request.functions or request.response_format:
        # The grammar of a large schema takes a good part of a second.
        return await asyncio.to_thread(chat_job, request, job_id, heard)
    return chat_job(request, job_id, heard)


class EngineChatRequest(ChatRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A chat request whose model is named by its path."""

    model: str = ""

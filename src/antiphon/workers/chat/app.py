"""The chat engine over HTTP: `/tokenize` and its reverse, `/completion` as server-sent events, `/load`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from antiphon.errors import InvalidRequest, TooLarge
from antiphon.tokens.encoder import Encoder
from antiphon.wire.completion import CompletionFrame, Text, Timings, Tokens
from antiphon.workers.chat import options
from antiphon.workers.chat.options import Completion
from antiphon.workers.chat.request import Request
from antiphon.workers.chat.scheduler import Scheduler
from antiphon.workers.chat.text import TextStream
from antiphon.workers.serve import Lifespan, application, send_events, while_connected

T = TypeVar("T")

MAX_BODY = 64 * 1024 * 1024
_LONG = 4096
"""Bytes of a body from which it is tokenized off the event loop."""


class Load(msgspec.Struct, frozen=True):
    """Requests, by what becomes of them at the moment."""

    running: int
    waiting: int


class _Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Text and ids of tokens. Neither is anything added, nor are special tokens looked for in text."""

    content: list[str | int]
    add_special: bool = False
    parse_special: bool = False


def create(scheduler: Scheduler, vocabulary: Encoder, context: int, lifespan: Lifespan) -> Starlette:
    """The application; `context` are the tokens of a prompt and its answer together."""

    async def tokenize(request: HttpRequest) -> Response:
        body = await _body(request)
        asked = _decoded(body, _Content, "content")
        if asked.add_special or asked.parse_special:
            raise _not_as_it_should_be("content")
        if len(body) < _LONG:
            tokens = vocabulary.encode(asked.content)
        else:
            tokens = await asyncio.to_thread(vocabulary.encode, asked.content)
        return Response(msgspec.json.encode(Tokens(tokens)), media_type="application/json")

    async def detokenize(request: HttpRequest) -> Response:
        found = Text(vocabulary.decode(_decoded(await _body(request), Tokens, "tokens").tokens))
        return Response(msgspec.json.encode(found), media_type="application/json")

    async def load(request: HttpRequest) -> Response:
        return Response(msgspec.json.encode(Load(*scheduler.load)), media_type="application/json")

    def check() -> list[str]:
        scheduler.check()
        return []

    return application(
        [
            Route("/tokenize", tokenize, methods=["POST"]),
            Route("/detokenize", detokenize, methods=["POST"]),
            Route("/load", load, methods=["GET"]),
            Route("/completion", Completions(scheduler, vocabulary, context), methods=["POST"]),
        ],
        check,
        lifespan,
    )


class Completions:
    """The endpoint of answers. An ASGI application, to notice at any time that the client has gone."""

    def __init__(self, scheduler: Scheduler, vocabulary: Encoder, context: int) -> None:
        self._scheduler, self._vocabulary, self._context = scheduler, vocabulary, context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _body(HttpRequest(scope, receive))
        asked = options.read(body, context=self._context, vocabulary=self._vocabulary.size)
        async with while_connected(receive), aclosing(self._frames(asked)) as frames:
            await send_events(frames, send)

    async def _frames(self, asked: Completion) -> AsyncGenerator[CompletionFrame, None]:
        """The frames of one answer, which is worked on for as long as they are asked for."""
        request = Request(
            asked.prompt,
            options.generation(asked, self._vocabulary.ends),
            options.grammar(asked),
            asked.partition,
        )
        text = TextStream(self._vocabulary.bytes, asked.stop)
        predicted = 0
        self._scheduler.submit(request)
        try:
            async with aclosing(request.pieces()) as pieces:
                async for tokens, finish in pieces:
                    predicted += len(tokens)
                    shown = text.feed(tokens)
                    if finish or text.stopped:
                        yield CompletionFrame(
                            content=shown + text.end(),
                            stop=True,
                            stop_type="word" if text.stopped else finish,
                            tokens_predicted=predicted,
                            timings=Timings(request.cached),
                        )
                        return
                    if shown:
                        yield CompletionFrame(content=shown, tokens_predicted=predicted)
        finally:
            self._scheduler.cancel(request)


async def _body(request: HttpRequest) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY:
            raise TooLarge("The body of the request is too large.")
    return bytes(body)


def _decoded(body: bytes, shape: type[T], param: str) -> T:
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.DecodeError:
        raise _not_as_it_should_be(param) from None


def _not_as_it_should_be(param: str) -> InvalidRequest:
    return InvalidRequest("The body of the request is not as it should be.", param=param)

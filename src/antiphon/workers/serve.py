"""The HTTP harness of the engine processes that we write: Starlette on uvicorn, at the address given."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
import socket
import sys
import tempfile
import traceback
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from antiphon.address import Address
from antiphon.errors import (
    AntiphonError,
    ClientGone,
    InternalError,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    StorageFull,
)
from antiphon.wire.models import EngineError, EngineHealth, ErrorBody
from antiphon.workers.guard.antiphon_guard import Guard
from antiphon.workers.parent import exit_with_parent

DRAIN_SECONDS = 30
"""Longest wait for running requests after SIGTERM."""

log = logging.getLogger(__name__)


Lifespan = Callable[[Starlette], AbstractAsyncContextManager[None]]


def application(
    routes: Sequence[BaseRoute], check: Callable[[], Collection[str]], lifespan: Lifespan | None = None
) -> Starlette:
    """The routes of an engine, and `GET /health`, which answers 200 unless `check` raises.

    `check` returns the names of the models that cannot be used, which are told.
    `lifespan` is entered before the first request and left after the last.
    """

    async def health(request: Request) -> Response:
        found = EngineHealth(unusable=sorted(check()))
        return Response(msgspec.json.encode(found), media_type="application/json")

    return Starlette(
        routes=[Route("/health", health), *routes],
        middleware=[Middleware(Guard), Middleware(_Envelopes)],
        exception_handlers={HTTPException: _refused},
        lifespan=lifespan,
    )


def serve(app: ASGIApp, address: Address) -> None:
    """Listen until SIGTERM, and then until running requests have ended.

    The folder in which the process was started is private and also takes the uploads: a temporary file is
    nameless and goes away with the process, however that ends.
    """
    exit_with_parent()
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn drains, then raises the signal again for the handler that was there before: this one.
        signal.signal(number, _exit)
    tempfile.tempdir = str(Path(address.path).parent) if address.path else os.getcwd()
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    listener = _listener(address)
    try:
        uvicorn.Server(config).run(sockets=[listener])
    finally:
        if address.path:
            Path(address.path).unlink(missing_ok=True)


def _exit(number: int, frame: FrameType | None) -> NoReturn:
    sys.exit(0)


def _listener(address: Address) -> socket.socket:
    if not address.path:
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        return socket.create_server((address.host, address.port), family=family)
    Path(address.path).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o077)
    try:
        listener.bind(address.path)
    finally:
        os.umask(mask)
    return listener


async def send_events(events: AsyncIterator[msgspec.Struct], send: Send) -> None:
    """Answer with server-sent events. An error before the first is raised, a later one is the last event."""
    started = False
    try:
        async for event in events:
            if not started:
                headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
                await send({"type": "http.response.start", "status": 200, "headers": headers})
                started = True
            await send(_frame(event))
    except Exception as problem:
        if not started:
            raise
        await send(_frame(envelope(as_error(problem))))
    await send({"type": "http.response.body", "body": b"", "more_body": False})


@asynccontextmanager
async def while_connected(receive: Receive) -> AsyncIterator[None]:
    """Ends the block when the client goes away: nobody is left who could be told anything."""
    working = asyncio.current_task()
    assert working is not None
    gone = False

    async def watch() -> None:
        nonlocal gone
        while (await receive())["type"] != "http.disconnect":
            continue
        gone = True
        working.cancel()

    watching = asyncio.create_task(watch())
    try:
        yield
    except asyncio.CancelledError:
        if not gone or working.uncancel():
            raise
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


def _frame(event: msgspec.Struct) -> Message:
    body = b"data: " + msgspec.json.encode(event) + b"\n\n"
    return {"type": "http.response.body", "body": body, "more_body": True}


def as_error(problem: Exception) -> AntiphonError:
    """What the caller may know of an exception. Our own bugs are logged by place, never by text."""
    if isinstance(problem, AntiphonError):
        return problem
    if isinstance(problem, ClientDisconnect):
        return ClientGone("The client has gone.")
    if isinstance(problem, OSError) and problem.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull("The disk is full.")
    places = "".join(traceback.format_tb(problem.__traceback__))
    log.error("%s at\n%s", type(problem).__name__, places)
    return InternalError("The engine met an error of its own.")


def envelope(error: AntiphonError) -> EngineError:
    body = ErrorBody(message=error.message, type=error.type, param=error.param, code=error.code)
    return EngineError(body, retry_after=error.retry_after)


def _answer(error: AntiphonError) -> Response:
    return Response(msgspec.json.encode(envelope(error)), error.status, media_type="application/json")


async def _refused(request: Request, problem: Exception) -> Response:
    """Starlette's own refusals: no such path, wrong method, unreadable form."""
    assert isinstance(problem, HTTPException)
    kinds: dict[int, type[AntiphonError]] = {404: NotFound, 405: MethodNotAllowed}
    kind = kinds.get(problem.status_code, InvalidRequest)
    return _answer(kind(f"The engine refused the request: {problem.detail}."))


class _Envelopes:
    """Turns whatever an endpoint raises before its answer began into the error envelope."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as problem:
            if started:
                raise
            await _answer(as_error(problem))(scope, receive, send)

"""One request and its answer, as handlers see them: bounded reading, headers that every answer carries."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

import msgspec
from starlette.types import Receive, Scope, Send

from antiphon.api import envelope
from antiphon.errors import ClientGone, RequestTimeout, TooLarge
from antiphon.settings import Settings
from antiphon.values import Caller

JSON = "application/json"
EVENTS = "text/event-stream; charset=utf-8"


def new_id() -> str:
    """The id of a request, as `x-request-id` shows it."""
    return f"req_{uuid.uuid4().hex}"


class Exchange:
    """One request. `caller` is set once the key was checked; `status` once the answer has begun."""

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        settings: Settings,
        caller_headers: Callable[[Caller], Mapping[str, str]],
    ) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers: dict[str, str] = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        self.route = "none"
        """The path of the row that answers, for logs and metrics: never what the client wrote."""
        self.parameters: dict[str, str] = {}
        self.id = new_id()
        self.began = time.monotonic()
        self.caller: Caller | None = None
        self.status = 0
        self._settings = settings
        self._caller_headers = caller_headers
        self._receive = receive
        self._send = send
        self._read = asyncio.Event()
        self._streams = False

    @property
    def known_caller(self) -> Caller:
        """The caller of a route that asks for a key."""
        assert self.caller is not None, "this route is open to everybody"
        return self.caller

    # --- reading -------------------------------------------------------------------------------------------

    async def body(self, limit: int) -> AsyncGenerator[bytes, None]:
        """The pieces of the body. Raises `TooLarge` past `limit` bytes, counted as they arrive."""
        stated = self.headers.get("content-length", "")
        if stated.isdigit() and int(stated) > limit:
            raise _too_large(limit, int(stated))
        began, count = time.monotonic(), 0
        while not self._read.is_set():
            message = await self._next()
            if not message.get("more_body", False):
                self._read.set()
            piece = message.get("body", b"")
            count += len(piece)
            if count > limit:
                raise _too_large(limit, count)
            passed = time.monotonic() - began
            if passed > self._settings.body_seconds and count < passed * self._settings.body_rate:
                raise RequestTimeout("The request's body arrived too slowly.")
            yield piece

    async def _next(self) -> Any:
        try:
            async with asyncio.timeout(self._settings.body_seconds):
                message = await self._receive()
        except TimeoutError:
            raise RequestTimeout("The request's body did not arrive in time.") from None
        if message["type"] == "http.disconnect":
            raise ClientGone("The client is gone.")
        return message

    async def gone(self) -> None:
        """Return when the client has closed the connection after sending its request."""
        await self._read.wait()
        while (await self._receive())["type"] != "http.disconnect":
            continue

    # --- answering -----------------------------------------------------------------------------------------

    async def answer(
        self, body: bytes, content_type: str = JSON, status: int = 200, headers: Mapping[str, str] = {}
    ) -> None:
        """A whole answer."""
        await self._start(status, {"content-type": content_type, "content-length": str(len(body)), **headers})
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    async def answer_json(self, value: Any, status: int = 200) -> None:
        await self.answer(msgspec.json.encode(value), JSON, status)

    async def write(self, frame: bytes) -> None:
        """One piece of a server-sent event stream; the first begins the answer."""
        if not self._streams:
            self._streams = True
            await self._start(
                200, {"content-type": EVENTS, "cache-control": "no-cache", "x-accel-buffering": "no"}
            )
        await self._send({"type": "http.response.body", "body": frame, "more_body": True})

    async def end(self) -> None:
        """End a stream. Whoever ends one that is whole has written `[DONE]` before."""
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def fail(self, problem: BaseException) -> None:
        """Answer with an error: an envelope, or an error event when a stream has begun."""
        error = envelope.known(problem, self.id)
        if self._streams:
            await self.write(b"data: " + envelope.envelope(error) + b"\n\n")
            await self.end()
        elif self.status == 0:
            await self.answer(envelope.envelope(error), JSON, error.status, envelope.headers(error))

    async def _start(self, status: int, headers: Mapping[str, str]) -> None:
        self.status = status
        every = {
            "x-request-id": self.id,
            "request-id": self.id,  # where the Python client of 2023 looks
            "openai-version": "2020-10-01",
            "openai-processing-ms": str(round((time.monotonic() - self.began) * 1000)),
            "x-content-type-options": "nosniff",
            **(self._caller_headers(self.caller) if self.caller else {}),
            **headers,
        }
        await self._send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [(n.encode(), value.encode("latin-1", "replace")) for n, value in every.items()],
            }
        )


def _too_large(limit: int, read: int) -> TooLarge:
    return TooLarge(f"Maximum content size limit ({limit}) exceeded ({read} bytes read)")

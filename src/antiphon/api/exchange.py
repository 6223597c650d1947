"""One request and its answer, as handlers see them: bounded reading, headers that every answer carries."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from starlette.types import Receive, Scope, Send

from antiphon.admission.buckets import Standing
from antiphon.api import envelope
from antiphon.api.observing import Observer
from antiphon.api.recording import Recording
from antiphon.errors import ClientGone, RequestTimeout, TooLarge
from antiphon.settings import Settings
from antiphon.status.outcomes import PROBES, Ended
from antiphon.values import Caller, Observation, ObservedKind

JSON = "application/json"
EVENTS = "text/event-stream; charset=utf-8"
PIECE = 64 * 1024
"""Longest piece of a whole answer that is sent at once: the connection is waited for between two."""
SETTLE_SECONDS = 5.0
"""Longest wait for who watches, at the end of an answer that is to be stored."""
CONNECTION_LOST = "antiphon.connection_lost"
"""The name under which a connection leaves in its scope's state a function that says whether it is lost."""


def new_id() -> str:
    """The id of a request, as `x-request-id` shows it."""
    return f"req_{uuid.uuid4().hex}"


class Exchange:
    """One request. `caller` is set once the key was checked; `status` once the answer has begun."""

    failing: Callable[[Exchange, BaseException], Awaitable[None]] | None = None
    """How a page of the console shows what went wrong."""

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        settings: Settings,
        caller_headers: Callable[[Caller, Standing], Mapping[str, str]],
        observers: Sequence[Observer] = (),
    ) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: bytes = scope["query_string"]
        self.headers: dict[str, str] = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        self.route = "none"
        """The path of the row that answers, for logs and metrics: never what the client wrote."""
        self.parameters: dict[str, str] = {}
        self.id = new_id()
        self.began = time.monotonic()
        self.began_at = time.time()
        self.caller: Caller | None = None
        self.status = 0
        self.to_stream = False
        """Whether the answer is asked for as a stream."""
        self.sound = 0.0
        """Seconds of the recording, once it is known."""
        self._received_at: float | None = None
        self._first_at: float | None = None
        self._complete = False
        self._error: tuple[int, str | None] | None = None
        """Status and code of the error it was answered with. The error itself would hold all it came from."""
        self.received = self.sent = 0
        """Bytes of the body that have come, and of the answer's."""
        self.answer_headers: dict[str, str] = {}
        """Headers of the answer, besides those that every answer has."""
        self.result_headers: dict[str, str] = {}
        """Headers of the answer if that is a result and no error; kept with it for a retry."""
        self.recording: Recording | None = None
        """What the answer is kept in for a retry, if the client asked for that."""
        self.persists = False
        """Whether the work goes on when the client is gone, since a retry may ask for its answer."""
        self._standing: Standing = ()
        self._settings = settings
        self.turn: Callable[[], Awaitable[None]] | None = None
        """What to await between receiving a request and reading it; it may refuse."""
        self.asked = b""
        self.heard: Mapping[str, str] = {}
        """The request as JSON, for who watches it, and what its recordings say, by their places."""
        self._caller_headers = caller_headers
        self._observers = observers
        self._promised: list[asyncio.Future[None]] = []
        self._receive, self._send = receive, send
        self._read = asyncio.Event()
        if "transfer-encoding" not in self.headers and self.headers.get("content-length", "0") == "0":
            self._whole()  # a request without a body is whole at once
        self.streams = False
        """Whether the answer is a stream that has begun."""
        # The connection's own word for being lost; a test without a connection has none.
        self._lost: Callable[[], bool] = scope.get("state", {}).get(CONNECTION_LOST, lambda: False)

    @property
    def known_caller(self) -> Caller:
        """The caller of a route that asks for a key."""
        assert self.caller is not None, "this route is open to everybody"
        return self.caller

    # --- reading -------------------------------------------------------------------------------------------

    async def body(self, limit: int, *, told: int | None = None) -> AsyncGenerator[bytes, None]:
        """The pieces of the body. Raises `TooLarge` past `limit` bytes, counted as they arrive.

        `told` is the limit that the error names, if that is another one.
        """
        named = limit if told is None else told
        stated = self.headers.get("content-length", "")
        if stated.isdigit() and int(stated) > limit:
            raise _too_large(named, int(stated))
        began, count = time.monotonic(), 0
        while not self._read.is_set():
            message = await self._next()
            if not message.get("more_body", False):
                self._whole()
            piece = message.get("body", b"")
            count += len(piece)
            self.received += len(piece)
            if count > limit:
                raise _too_large(named, count)
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

    def _whole(self) -> None:
        """All of the request is here."""
        self._received_at = time.monotonic()
        self._read.set()

    async def gone(self) -> None:
        """Return when the client has closed the connection after sending its request."""
        await self._read.wait()
        while (await self._receive())["type"] != "http.disconnect":
            continue

    def show(self, standing: Standing) -> None:
        """How the caller stands against the limits of what it asked for: shown in the answer's headers."""
        self._standing = standing

    # --- being watched -------------------------------------------------------------------------------------

    @property
    def watched(self) -> bool:
        """Whether anybody wants to be told of this request's content."""
        return bool(self._watchers())

    def tell(
        self,
        kind: ObservedKind,
        snapshot: str,
        answered: bytes,
        *,
        whole: bool,
        recording: Path | None = None,
    ) -> None:
        """Tell whoever watches of this request and its answer, as `Observation` says."""
        seen = Observation(
            request_id=self.id,
            caller=self.known_caller,
            kind=kind,
            snapshot=snapshot,
            asked=self.asked,
            heard=self.heard,
            answered=answered,
            recording=recording,
            whole=whole,
            began_at=self.began_at,
        )
        for observer in self._watchers():
            if (promise := observer.observe(seen)) is not None:
                self._promised.append(promise)

    def _watchers(self) -> list[Observer]:
        """Who wants to be told. What probes ask is always the same, and nobody's."""
        caller = self.known_caller
        if caller.organization_id == PROBES:
            return []
        return [observer for observer in self._observers if observer.wants(caller)]

    async def settled(self) -> None:
        """Wait for what those who were told have to do before the end of the answer is sent."""
        if self._promised:
            await asyncio.wait(self._promised, timeout=SETTLE_SECONDS)

    # --- answering -----------------------------------------------------------------------------------------

    async def answer(
        self, body: bytes, content_type: str = JSON, status: int = 200, headers: Mapping[str, str] = {}
    ) -> None:
        """A whole answer. JSON ends its line, so that a shell's prompt does not follow it on the same."""
        if self.recording is not None and status == 200:
            self.recording.begin(content_type, self.result_headers, streams=False)
            self.recording.add(body)
        end = b"\n" if body and content_type == JSON else b""
        length = len(body) + len(end)
        await self._start(status, {"content-type": content_type, "content-length": str(length), **headers})
        self.sent += length
        last = max(0, len(body) - 1) // PIECE * PIECE
        for start in range(0, last, PIECE):
            piece = body[start : start + PIECE]
            await self._send({"type": "http.response.body", "body": piece, "more_body": True})
        await self._send({"type": "http.response.body", "body": body[last:] + end, "more_body": False})
        self._complete = True

    async def answer_pieces(
        self, pieces: AsyncIterator[bytes], length: int, content_type: str, headers: Mapping[str, str] = {}
    ) -> None:
        """A whole answer of `length` bytes that is not in memory at once. Raises `ClientGone`."""
        await self._start(200, {"content-type": content_type, "content-length": str(length), **headers})
        async for piece in pieces:
            self.sent += len(piece)
            await self._send({"type": "http.response.body", "body": piece, "more_body": True})
            if self._lost():
                raise ClientGone("The client is gone.")
        await self.end()

    async def answer_json(self, value: Any, status: int = 200) -> None:
        await self.answer(msgspec.json.encode(value), JSON, status)

    async def write(self, frame: bytes) -> None:
        """One piece of a server-sent event stream; the first begins the answer.

        Returns once it was handed to the socket, or is kept for a retry; raises `ClientGone` if neither.
        """
        if not self.streams:
            self.streams, self._first_at = True, time.monotonic()
            if self.recording is not None:
                self.recording.begin(EVENTS, self.result_headers, streams=True)
            await self._start(
                200, {"content-type": EVENTS, "cache-control": "no-cache", "x-accel-buffering": "no"}
            )
        kept = self.recording is not None and self.recording.add(frame)
        self.sent += len(frame)
        await self._send({"type": "http.response.body", "body": frame, "more_body": True})
        # A lost connection drops what is sent without a word. Nothing was awaited since the frame went out.
        if self._lost() and not kept:
            raise ClientGone("The client is gone.")

    async def end(self) -> None:
        """End the answer. Whoever ends a stream that is whole has written `[DONE]` before."""
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        self._complete = True

    @property
    def ended(self) -> Ended:
        """How it went, once it is over."""
        began = self.began if self._received_at is None else self._received_at
        return Ended(
            route=self.route,
            status=self._error[0] if self._error else self.status,
            code=self._error[1] if self._error else None,
            received=self._received_at is not None,
            complete=self._complete,
            streams=self.streams or self.to_stream,
            first=None if self._first_at is None else self._first_at - began,
            seconds=time.monotonic() - began,
            sound=self.sound,
        )

    async def fail(self, problem: BaseException) -> None:
        """Answer with an error: an envelope, or an error event when a stream has begun."""
        error = envelope.known(problem, self.id)
        if isinstance(error, ClientGone):
            return
        self._error = (error.status, error.code)
        if self.streams:
            with suppress(ClientGone):
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
            **(self._caller_headers(self.caller, self._standing) if self.caller else {}),
            **self.answer_headers,
            **(self.result_headers if status == 200 else {}),
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

"""A client that costs little: requests are bytes made beforehand, answers are counted and not read.

It shares one core with the upstream, while the gateway that is measured has another to itself. So it has to
be much faster than any gateway, which each run checks against the upstream directly.
"""

from __future__ import annotations

import asyncio
import time
from array import array
from collections.abc import Callable, Sequence
from typing import Any

import httptools
import msgspec

CONNECT_SECONDS = 10.0
_EVENT = b"data: "
_DONE = b"data: [DONE]"
_SHOWN = 300
"""Bytes of an answer that is an error, as the failure tells it."""


class Failed(Exception):
    """An answer that is none: an error, one that is cut off, or a connection that was closed."""


def request(address: tuple[str, int], key: str, model: str, tokens: int, *, stream: bool) -> bytes:
    """A chat request as it goes over the wire, with one short message."""
    body = msgspec.json.encode(
        {
            "model": model,
            "messages": [{"role": "user", "content": "Say something about the sea."}],
            "max_tokens": tokens,
            "stream": stream,
        }
    )
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\n"
        f"host: {address[0]}:{address[1]}\r\nauthorization: Bearer {key}\r\n"
        f"content-type: application/json\r\naccept: */*\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Connection(asyncio.Protocol):
    """Sends one request at a time. `answered` and `heard` are called from the loop; neither may block."""

    def __init__(
        self,
        sent: bytes,
        answered: Callable[[Connection], None],
        failed: Callable[[Failed], None],
        heard: Callable[[Connection, int], None] | None = None,
    ) -> None:
        """`heard` is told how many events of a stream came at once."""
        self.events = 0
        self.began = 0.0
        self.last = 0.0
        """When it last asked, or heard something: for who listens to renew."""
        self._sent = sent
        self._streams = b'"stream":true' in sent
        self._answered, self._failed, self._heard = answered, failed, heard
        self._tail = self._shown = b""
        self._waits = False

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._parser: Any = httptools.HttpResponseParser(self)

    def connection_lost(self, problem: Exception | None) -> None:
        if self._waits:
            self._waits = False
            self._failed(Failed(f"the connection was closed: {problem or 'no answer'}"))

    def send(self) -> None:
        self._tail = self._shown = b""
        self._waits = True
        self.began = self.last = time.perf_counter()
        self._transport.write(self._sent)

    def close(self) -> None:
        self._waits = False
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as problem:
            self._waits = False
            self._failed(Failed(f"no HTTP: {problem}"))
            self._transport.abort()

    def on_body(self, body: bytes) -> None:
        self._shown = self._shown or body[:_SHOWN]
        if not self._streams:
            return
        tail = self._tail[-len(_EVENT) + 1 :] + body  # an event may begin in one piece and go on in the next
        self._tail = (self._tail + body)[-len(_DONE) - 4 :]
        if count := tail.count(_EVENT):
            self.events += count
            if self._heard is not None:
                self._heard(self, count)

    def on_message_complete(self) -> None:
        if not self._waits:  # closed meanwhile
            return
        self._waits = False
        status = self._parser.get_status_code()
        if status != 200 or (self._streams and _DONE not in self._tail):
            self._failed(Failed(f"answered with {status}: {self._shown.decode(errors='replace')}"))
        else:
            self._answered(self)


class Crowd:
    """Many connections; each asks for the next time when it has its answer, or once."""

    def __init__(self, address: tuple[str, int], requests: Sequence[bytes]) -> None:
        """One connection for each of the requests."""
        self._address, self._requests = address, requests
        self._connections: list[Connection] = []
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._again = False
        self._latencies = array("d")

    @property
    def connections(self) -> Sequence[Connection]:
        return self._connections

    async def open(self, heard: Callable[[Connection, int], None] | None = None) -> None:
        """Connect. Raises `OSError`, or `TimeoutError`."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(CONNECT_SECONDS):
            for sent in self._requests:
                connection = Connection(sent, self._answered, self._fail, heard)
                await loop.create_connection(lambda made=connection: made, *self._address)
                self._connections.append(connection)

    async def ask(self, warm_up: float) -> None:
        """Ask again and again from now on; returns after `warm_up` seconds. Raises as `wait` does."""
        self._again = True
        for connection in self._connections:
            connection.send()
        await self.wait(warm_up)

    def count(self) -> array[float]:
        """The seconds that each answer took, of those that come from now on."""
        self._latencies = array("d")
        return self._latencies

    async def begin(self, over: float) -> None:
        """Send each request once, evenly over so many seconds."""
        for connection in self._connections:
            connection.send()
            await self.wait(over / len(self._connections))

    async def wait(self, seconds: float) -> None:
        """Raises `Failed` if an answer is one meanwhile."""
        await asyncio.wait([self._failure], timeout=seconds)
        if self._failure.done():
            self._failure.result()

    def close(self) -> None:
        for connection in self._connections:
            connection.close()
        if self._failure.done() and not self._failure.cancelled():
            self._failure.exception()  # it was raised, or came too late to matter
        self._failure.cancel()

    def _answered(self, connection: Connection) -> None:
        self._latencies.append(time.perf_counter() - connection.began)
        if self._again:
            connection.send()

    def _fail(self, problem: Failed) -> None:
        if not self._failure.done():
            self._failure.set_exception(problem)

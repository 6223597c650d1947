"""A proxy between clients and a server that keeps every byte the server gave, also to clients that have left.

Each connection carries one request, so clients must not use theirs twice. When a client goes away, the proxy
closes its half of the connection to the server, which is how the server sees it, and reads on to the end: it
then has exactly what the server handed to its socket.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import h11

TAG = "x-tag"
"""The request header by which a client names its request."""
END_SECONDS = 60.0
_PIECE = 65_536


class Exchange:
    """One request and what the server answered."""

    def __init__(self) -> None:
        self.left = False
        """Whether the client was gone before the answer had ended."""
        self._sent = bytearray()
        self._given = bytearray()

    @property
    def tag(self) -> str:
        parser = h11.Connection(h11.SERVER)
        parser.receive_data(bytes(self._sent))
        request: Any = parser.next_event()
        return next(value.decode() for name, value in request.headers if name == TAG.encode())

    @property
    def status(self) -> int:
        """0 if the answer did not begin."""
        return self._parsed()[0]

    @property
    def body(self) -> bytes:
        """What there is of it."""
        return self._parsed()[1]

    @property
    def whole(self) -> bool:
        """Whether the answer has come to its end."""
        return self._parsed()[2]

    def _parsed(self) -> tuple[int, bytes, bool]:
        parser = h11.Connection(h11.CLIENT)
        for event in (
            h11.Request(method="GET", target="/", headers=[("host", "server")]),
            h11.EndOfMessage(),
        ):
            parser.send(event)
        status, body = 0, b""
        if not self._given:
            return status, body, False
        parser.receive_data(bytes(self._given))
        while not isinstance(event := parser.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                return status, body, False
            if isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
        return status, body, True


class Recorder:
    """`url` is where clients reach the server; `exchanges` are in the order in which they began."""

    def __init__(self, port: int) -> None:
        self.exchanges: list[Exchange] = []
        self._port = port
        self._running: set[asyncio.Task[None]] = set()
        self.url = ""

    async def ended(self) -> None:
        """Return once the server has ended every answer; a client's leaving ends nothing here."""
        async with asyncio.timeout(END_SECONDS):
            while self._running:
                await asyncio.wait(self._running)

    async def serve(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        exchange = Exchange()
        self.exchanges.append(exchange)
        server, forth = await asyncio.open_connection("127.0.0.1", self._port)
        up = asyncio.create_task(_up(exchange, client, forth))
        try:
            while piece := await server.read(_PIECE):
                exchange._given += piece
                if not back.is_closing():
                    back.write(piece)
        finally:
            up.cancel()
            await asyncio.gather(up, return_exceptions=True)
            forth.close()
            back.close()
            self._running.discard(task)


async def _up(exchange: Exchange, client: asyncio.StreamReader, forth: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while piece := await client.read(_PIECE):
            exchange._sent += piece
            forth.write(piece)
            await forth.drain()
    exchange.left = not exchange.whole
    if not forth.is_closing():
        forth.write_eof()


@asynccontextmanager
async def recording(port: int) -> AsyncIterator[Recorder]:
    """A proxy before the server on `port` of this machine."""
    recorder = Recorder(port)
    listener = await asyncio.start_server(recorder.serve, "127.0.0.1", 0)
    recorder.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/v1"
    try:
        yield recorder
        await recorder.ended()
    finally:
        listener.close()

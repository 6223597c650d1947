"""One HTTP/1.1 exchange, on a connection of its own: every token of chat comes this way.

A library for HTTP does much that no engine needs, in several times the processor time. The parsing itself is
httptools', as it is at the edge.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator
from functools import cache
from typing import Any, Self

import httptools

from antiphon.address import Address

CONNECT_SECONDS = 5.0
HIGH_WATER = 65_536
"""Bytes of an answer that may wait for its reader; beyond them the engine has to wait."""


class Broken(Exception):
    """The connection ended before the answer did, or what came was no HTTP."""


class Exchange(asyncio.Protocol):
    """A request, with a body of JSON if there is one, and its answer as it comes; read once, by one reader.

    Used as `async with exchange:`, it is sent on entering, which raises `OSError` if there is nobody at
    `address`, or somebody who does not prove to be there, and `TimeoutError` if nobody takes the connection.
    On leaving the connection is closed.
    """

    def __init__(self, address: Address, method: str, path: str, body: bytes | None = None) -> None:
        self._address = address
        self._request = _head(address, method, path, body) + (body or b"")
        self.status = 0
        """Set once the answer has begun."""
        self._parser: Any = httptools.HttpResponseParser(self)
        self._pieces: list[bytes] = []
        self._size = 0
        self._paused = self._whole = self._broken = False
        self._waiting: asyncio.Future[None] | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(CONNECT_SECONDS):
            if self._address.path:
                await loop.create_unix_connection(lambda: self, self._address.path)
            else:
                tls = await asyncio.to_thread(trusted) if self._address.tls else None
                await loop.create_connection(lambda: self, self._address.host, self._address.port, ssl=tls)
        self._transport.write(self._request)
        self._request = b""  # a long prompt is not kept for as long as its answer takes
        return self

    async def __aexit__(self, *_: object) -> None:
        self.abort()

    async def begun(self) -> int:
        """The status, once it is there. Raises `Broken`."""
        while not self.status:
            await self._more()
        return self.status

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """The body, as it comes. Raises `Broken` if it ends early, after all that came."""
        while True:
            if self._pieces:
                yield self._take()
            elif self._whole:
                return
            else:
                await self._more()

    def abort(self) -> None:
        """Close the connection at once: it cancels the work in the engine, unless the answer is whole."""
        self._transport.abort()

    # --- called by the transport and the parser ---------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._whole:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._broken = True
            self._transport.abort()
        self._wake()

    def connection_lost(self, problem: Exception | None) -> None:
        self._broken = True
        self._wake()

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()

    def on_body(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size > HIGH_WATER and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        self._whole = True

    # --- reading ----------------------------------------------------------------------------------------

    def _take(self) -> bytes:
        taken, self._pieces, self._size = b"".join(self._pieces), [], 0
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        return taken

    async def _more(self) -> None:
        """Wait for something to happen. Raises `Broken` if nothing will."""
        if self._broken:
            raise Broken("the connection ended early")
        self._waiting = asyncio.get_running_loop().create_future()
        try:
            await self._waiting
        finally:
            self._waiting = None

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


def _head(address: Address, method: str, path: str, body: bytes | None) -> bytes:
    known = f"authorization: Bearer {address.secret}\r\n" if address.secret else ""
    sized = "" if body is None else f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
    host = address.authority or "engine"
    return f"{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{known}{sized}\r\n".encode()


@cache
def trusted() -> ssl.SSLContext:
    """Who is believed: those that this machine trusts, or those in the file `SSL_CERT_FILE`. Blocks."""
    return ssl.create_default_context()

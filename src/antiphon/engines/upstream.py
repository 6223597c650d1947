"""The one HTTP client for engine processes: JSON in, JSON or server-sent events out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

import aiohttp
import msgspec

from antiphon.address import Address
from antiphon.engines import http
from antiphon.errors import AntiphonError, EngineFailed, EngineLost, EngineRefused

MAX_ANSWER = 16 * 1024 * 1024
MAX_EVENT = 1024 * 1024
_CONNECT = aiohttp.ClientTimeout(total=None, sock_connect=http.CONNECT_SECONDS)

Refusal = Callable[[int, bytes], AntiphonError]
"""What an answer with another status than 200 means; the second is its body."""


def refusal(status: int, body: bytes) -> AntiphonError:
    """Of engines that are launched here. Fixed text: an engine's own error may quote the prompt."""
    failure = EngineRefused if status == HTTPStatus.BAD_REQUEST else EngineFailed
    return failure(f"The engine refused the request with status {status}.", retry_after=1)


class Upstream:
    """Connections to one engine process. Deadlines are the caller's; a broken engine raises `EngineFailed`,
    one that cannot be reached, or breaks off, `EngineLost`; one that answers otherwise than with 200 what
    `refusal` makes of that.

    Every exchange has a connection of its own. Closing it is what cancels the work in the engine; nothing of
    one caller can reach the next; and none is found closed by the engine at the moment it is used again.
    A new one costs some 0.1 ms on a Unix socket.
    """

    def __init__(self, address: Address, refusal: Refusal = refusal) -> None:
        self._address = address
        self._refusal = refusal
        self._exchanges: set[http.Exchange] = set()
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def close(self) -> None:
        """Drop every connection; whoever still holds this client gets `EngineFailed`."""
        self._closed = True
        for exchange in self._exchanges:
            exchange.abort()
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def get(self, path: str) -> bytes:
        """The body of a 200 answer to a GET."""
        async with self._exchange("GET", path) as exchange:
            return await self._body(exchange)

    async def post(self, path: str, body: Any) -> bytes:
        """The body of a 200 answer to a POST of JSON."""
        async with self._exchange("POST", path, msgspec.json.encode(body)) as exchange:
            return await self._body(exchange)

    async def batches(self, path: str, body: Any) -> AsyncGenerator[list[bytes], None]:
        """The `data:` of the server-sent events of a 200 answer to a POST of JSON, as they come: see
        `batches`."""
        async with self._exchange("POST", path, msgspec.json.encode(body)) as exchange:
            if await exchange.begun() != HTTPStatus.OK:
                await self._body(exchange)
            async for batch in batches(exchange.pieces()):
                yield batch

    async def _body(self, exchange: http.Exchange) -> bytes:
        content = bytearray()
        status = await exchange.begun()
        async for piece in exchange.pieces():
            content += piece
            if len(content) > MAX_ANSWER:
                raise EngineFailed("The engine's answer is too long.")
        if status != HTTPStatus.OK:
            raise self._refusal(status, bytes(content))
        return bytes(content)

    def _exchange(self, method: str, path: str, body: bytes | None = None) -> _Held:
        self._refuse_if_closed()
        return _Held(http.Exchange(self._address, method, path, body), self._exchanges)

    @asynccontextmanager
    async def request(self, method: str, path: str, **options: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        """One exchange by aiohttp, which can stream forms. Leaving early closes the connection."""
        try:
            if self._address.tls:
                await asyncio.to_thread(http.trusted)
            async with self._by_aiohttp().request(
                method, f"{_origin(self._address)}{path}", allow_redirects=False, **options
            ) as response:
                try:
                    yield response
                finally:
                    if not response.content.at_eof():
                        response.close()
        except (aiohttp.ClientError, ConnectionError) as problem:
            raise _broke_off() from problem

    def _by_aiohttp(self) -> aiohttp.ClientSession:
        self._refuse_if_closed()
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=_connector(self._address),
                headers={"authorization": f"Bearer {self._address.secret}"} if self._address.secret else None,
                timeout=_CONNECT,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise EngineFailed("The engine is gone.", retry_after=1)


class _Held:
    """An exchange that is among those to break off while the block runs; if it breaks, as `EngineFailed`."""

    def __init__(self, exchange: http.Exchange, among: set[http.Exchange]) -> None:
        self._exchange, self._among = exchange, among

    async def __aenter__(self) -> http.Exchange:
        try:
            await self._exchange.__aenter__()
        except OSError as problem:
            raise _broke_off() from problem
        self._among.add(self._exchange)
        return self._exchange

    async def __aexit__(self, _: object, problem: BaseException | None, __: object) -> None:
        self._among.discard(self._exchange)
        self._exchange.abort()
        if isinstance(problem, http.Broken | OSError):
            raise _broke_off() from problem


def _connector(address: Address) -> aiohttp.BaseConnector:
    if address.path:
        return aiohttp.UnixConnector(path=address.path, limit=0, force_close=True)
    return aiohttp.TCPConnector(limit=0, force_close=True, ssl=http.trusted() if address.tls else True)


def _origin(address: Address) -> str:
    return f"{'https' if address.tls else 'http'}://{address.authority or 'engine'}"


def _broke_off() -> EngineLost:
    return EngineLost("The engine broke off.", retry_after=1)


async def events(pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """The `data:` lines of a server-sent event stream as they arrive; each event here has exactly one."""
    async for batch in batches(pieces):
        for event in batch:
            yield event


async def batches(pieces: AsyncIterator[bytes]) -> AsyncGenerator[list[bytes], None]:
    """The same, in lists of those that arrived together: a reader that is late catches up."""
    buffer = b""
    async for piece in pieces:
        buffer += piece
        *lines, buffer = buffer.split(b"\n")
        if found := [line[5:].strip() for line in lines if line.startswith(b"data:")]:
            yield found
        if len(buffer) > MAX_EVENT:
            raise EngineFailed("The engine sent an event that is too long.")

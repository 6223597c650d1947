"""The one HTTP client for engine processes: over a Unix socket, JSON in, JSON or server-sent events out."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from antiphon.errors import EngineFailed

MAX_ANSWER = 16 * 1024 * 1024
MAX_EVENT = 1024 * 1024
_CONNECT = aiohttp.ClientTimeout(total=None, sock_connect=5.0)


class Upstream:
    """Connections to one engine process. Deadlines are the caller's; a broken engine raises `EngineFailed`.

    Every exchange has a connection of its own. Closing it is what cancels the work in the engine; nothing of
    one caller can reach the next; and none is found closed by the engine at the moment it is used again.
    On a Unix socket a new one costs some 0.1 ms.
    """

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    @property
    def session(self) -> aiohttp.ClientSession:
        if self._closed:
            raise EngineFailed("The engine is gone.", retry_after=1)
        if self._session is None:
            connector = aiohttp.UnixConnector(path=str(self._socket), limit=0, force_close=True)
            self._session = aiohttp.ClientSession(
                connector=connector, timeout=_CONNECT, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session

    async def close(self) -> None:
        """Drop every connection; whoever still holds this client gets `EngineFailed`."""
        self._closed = True
        if self._session is not None:
            await self._session.close()
            self._session = None

    @asynccontextmanager
    async def request(self, method: str, path: str, **options: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        """One exchange. On leaving early the connection is closed. Redirects are never followed."""
        try:
            async with self.session.request(
                method, f"http://engine{path}", allow_redirects=False, **options
            ) as response:
                try:
                    yield response
                finally:
                    if not response.content.at_eof():
                        response.close()
        except (aiohttp.ClientError, ConnectionError) as problem:
            raise EngineFailed("The engine broke off.", retry_after=1) from problem

    async def get(self, path: str) -> bytes:
        """The body of a 200 answer to a GET."""
        async with self.request("GET", path) as response:
            return await _body(response)

    async def post(self, path: str, body: Any) -> bytes:
        """The body of a 200 answer to a POST of JSON."""
        async with self.request("POST", path, **_json(body)) as response:
            return await _body(response)

    async def events(self, path: str, body: Any) -> AsyncGenerator[bytes, None]:
        """The `data:` of each server-sent event of a 200 answer to a POST of JSON."""
        async with self.request("POST", path, **_json(body)) as response:
            if response.status != 200:
                await _body(response)
            async for event in events(response):
                yield event


def _json(body: Any) -> dict[str, Any]:
    return {"data": msgspec.json.encode(body), "headers": {"content-type": "application/json"}}


async def _body(response: aiohttp.ClientResponse) -> bytes:
    content = bytearray()
    async for piece in response.content.iter_any():
        content += piece
        if len(content) > MAX_ANSWER:
            raise EngineFailed("The engine's answer is too long.")
    if response.status != 200:
        # Fixed text: an engine's own error may quote the prompt.
        raise EngineFailed(f"The engine refused the request with status {response.status}.", retry_after=1)
    return bytes(content)


async def events(response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
    """The `data:` lines of a server-sent event stream as they arrive; each event here has exactly one."""
    buffer = b""
    async for piece in response.content.iter_any():
        buffer += piece
        *lines, buffer = buffer.split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                yield line[5:].strip()
        if len(buffer) > MAX_EVENT:
            raise EngineFailed("The engine sent an event that is too long.")

"""One exchange with an engine: read as it comes, bounded, and broken when it breaks."""

from __future__ import annotations

import asyncio
import socket as sockets
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from addresses import unix
from antiphon.engines import http

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


@asynccontextmanager
async def served(answer: Answer) -> AsyncIterator[Path]:
    """The socket of an engine that does what `answer` does with each connection."""
    running: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await answer(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.sock"
        async with await asyncio.start_unix_server(
            lambda reader, writer: running.append(asyncio.create_task(serve(reader, writer))), path
        ):
            yield path
            await asyncio.wait_for(asyncio.gather(*running), 5)


def saying(*pieces: bytes) -> Answer:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.01)

    return answer


async def read(path: Path) -> tuple[int, list[bytes]]:
    """Status and pieces of an answer that is whole."""
    async with http.Exchange(unix(path), "GET", "/x") as exchange:
        return await exchange.begun(), [piece async for piece in exchange.pieces()]


async def test_pieces_are_given_as_they_come() -> None:
    pieces = (CHUNKED, b"3\r\nabc\r\n", b"1\r\nd\r\n2\r\nef\r\n", b"0\r\n\r\n")
    async with served(saying(*pieces)) as path:
        assert await read(path) == (200, [b"abc", b"def"])


async def test_a_request_has_its_body_or_none() -> None:
    seen: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        seen.append(head + (await reader.readexactly(2) if b"content-length: 2\r\n" in head else b""))
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    async with served(answer) as path:
        async with http.Exchange(unix(path), "POST", "/y", b"{}") as exchange:
            assert await exchange.begun() == 204
        assert await read(path) == (204, [])
    assert seen[0].startswith(b"POST /y HTTP/1.1\r\n") and b"content-type: application/json\r\n" in seen[0]
    assert seen[0].endswith(b"\r\n\r\n{}")
    assert seen[1].startswith(b"GET /x HTTP/1.1\r\n") and b"content" not in seen[1]


@pytest.mark.parametrize(
    "pieces",
    [
        (),
        (b"HTTP/1.1 200",),
        (b"hello\r\n\r\n",),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabc",),
        (CHUNKED, b"3\r\nabc\r\n"),
        (CHUNKED, b"3\r\nabc\r\n", b"zzz\r\n"),
    ],
)
async def test_what_ends_early_is_broken_after_what_came(pieces: tuple[bytes, ...]) -> None:
    came: list[bytes] = []
    async with served(saying(*pieces)) as path:
        with pytest.raises(http.Broken):
            async with http.Exchange(unix(path), "GET", "/x") as exchange:
                await exchange.begun()
                async for piece in exchange.pieces():
                    came.append(piece)
    assert came == ([b"abc"] if any(b"abc" in piece for piece in pieces) else [])


async def test_what_an_engine_says_too_much_is_not_heard() -> None:
    async with served(saying(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na", b"HTTP/1.1 garbage")) as path:
        assert await read(path) == (200, [b"a"])


async def test_an_engine_waits_for_a_slow_reader() -> None:
    sent = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.set_write_buffer_limits(high=0)
        writer.get_extra_info("socket").setsockopt(sockets.SOL_SOCKET, sockets.SO_SNDBUF, 8192)
        writer.write(CHUNKED)
        for _ in range(1000):
            writer.write(b"1000\r\n" + b"x" * 4096 + b"\r\n")
            await writer.drain()
            sent += 4096
        writer.write(b"0\r\n\r\n")

    async with served(flood) as path, http.Exchange(unix(path), "GET", "/x") as exchange:
        assert await exchange.begun() == 200
        before = -1
        while before != sent:  # until nothing moves any more
            before = sent
            await asyncio.sleep(0.1)
        assert sent < 2_000_000, "what nobody reads is held back"
        assert sum([len(piece) async for piece in exchange.pieces()]) == 4_096_000


async def test_an_exchange_that_is_aborted_is_broken() -> None:
    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.read() != b""  # until the other side is gone

    async with served(silence) as path, http.Exchange(unix(path), "GET", "/x") as exchange:
        asyncio.get_running_loop().call_later(0.05, exchange.abort)
        with pytest.raises(http.Broken):
            await asyncio.wait_for(exchange.begun(), 5)


async def test_nobody_there() -> None:
    with pytest.raises(OSError):
        async with http.Exchange(unix("/nowhere/s.sock"), "GET", "/x"):
            raise AssertionError("there is nobody")

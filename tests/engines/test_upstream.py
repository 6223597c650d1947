"""The HTTP client of engines: what breaks is `EngineFailed`, and nothing is unbounded or reused."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from addresses import unix
from antiphon.engines import upstream
from antiphon.engines.upstream import Upstream
from antiphon.errors import EngineFailed

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def served(handler: Handler) -> AsyncIterator[Upstream]:
    """A client of a server whose every path is answered by `handler`."""
    app = web.Application()
    app.router.add_route("*", "/{any:.*}", handler)
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    with tempfile.TemporaryDirectory() as folder:
        socket = Path(folder) / "s.sock"
        await web.UnixSite(runner, str(socket)).start()
        client = Upstream(unix(socket))
        try:
            yield client
        finally:
            await client.close()
            await runner.cleanup()


def streaming(*pieces: bytes) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
            await asyncio.sleep(0)
        return response

    return handler


async def collect(client: Upstream) -> list[bytes]:
    return [event async for batch in client.batches("/x", {}) for event in batch]


async def test_events_in_whatever_pieces_they_arrive() -> None:
    async with served(streaming(b"da", b"ta: 1\n\nda", b"ta:2\r\n\r\n: comment\n\n", b"data: 3")) as client:
        assert await collect(client) == [b"1", b"2"], "half an event is none"


async def test_bodies_go_as_json_and_come_back_whole() -> None:
    async def echo(request: web.Request) -> web.Response:
        assert request.headers["content-type"] == "application/json"
        return web.Response(body=await request.read())

    async with served(echo) as client:
        assert await client.post("/x", {"a": [1, "é"]}) == '{"a":[1,"é"]}'.encode()


@pytest.mark.requirement("R15")
async def test_a_refusal_is_a_failure_that_quotes_nothing() -> None:
    async def refuse(request: web.Request) -> web.Response:
        return web.Response(status=400, text="the prompt was: secret")

    async with served(refuse) as client:
        for ask in (client.get("/x"), client.post("/x", {}), collect(client)):
            with pytest.raises(EngineFailed, match="400") as failure:
                await ask
            assert "secret" not in failure.value.message


@pytest.mark.requirement("R5")
async def test_redirects_are_not_followed() -> None:
    async def away(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"location": "http://elsewhere/"})

    async with served(away) as client:
        with pytest.raises(EngineFailed, match="302"):
            await client.get("/x")


async def test_nobody_there_or_gone_midway() -> None:
    with tempfile.TemporaryDirectory() as folder:
        client = Upstream(unix(Path(folder) / "nobody.sock"))
        with pytest.raises(EngineFailed):
            await client.get("/x")
        await client.close()

    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-length": "100"})
        await response.prepare(request)
        await response.write(b"data: 1\n\n")
        assert request.transport is not None
        request.transport.close()
        return response

    async with served(cut) as client:
        with pytest.raises(EngineFailed):
            await collect(client)


async def test_answers_and_events_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream, "MAX_ANSWER", 1000)
    monkeypatch.setattr(upstream, "MAX_EVENT", 1000)
    async with served(streaming(b"x" * 800, b"x" * 800)) as client:
        with pytest.raises(EngineFailed, match="too long"):
            await client.get("/x")
        with pytest.raises(EngineFailed, match="too long"):
            await collect(client)


async def test_leaving_early_ends_the_work() -> None:
    ended = asyncio.Event()

    async def work(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"data: 1\n\n")
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()
        return response

    async with served(work) as client:
        batches = client.batches("/x", {})
        assert await anext(batches) == [b"1"]
        await batches.aclose()
        await asyncio.wait_for(ended.wait(), 5)


async def test_a_closed_client_stays_closed() -> None:
    async with served(streaming(b"data: 1\n\n")) as client:
        await collect(client)
        await client.close()
        with pytest.raises(EngineFailed):
            await collect(client)

"""A receiver of webhooks on this machine, which checks what it gets as Standard Webhooks says."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from antiphon.operations.webhook import FILE_NAME


class Receiver:
    """Its messages as they came: (headers, body). `answers` are the statuses of the next ones; then 204."""

    def __init__(self) -> None:
        self.messages: list[tuple[Mapping[str, str], bytes]] = []
        self.answers: list[int] = []
        self.redirected = 0
        self.slow = 0.0
        self.address = ""

    async def hear(self, request: web.Request) -> web.Response:
        self.messages.append((request.headers, await request.read()))
        await asyncio.sleep(self.slow)
        status = self.answers.pop(0) if self.answers else 204
        return web.Response(status=status, headers={"location": f"{self.address}/elsewhere"})

    async def elsewhere(self, request: web.Request) -> web.Response:
        self.redirected += 1
        return web.Response()

    def told(self, home: Path) -> list[dict[str, Any]]:
        """The bodies, once all their signatures were checked against the secret of a data folder."""
        secret = base64.b64decode((home / FILE_NAME).read_text().strip().removeprefix("whsec_"))
        for headers, body in self.messages:
            signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
            expected = base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
            assert f"v1,{expected}" in headers["webhook-signature"].split(" ")
        return [json.loads(body) for _, body in self.messages]

    @property
    def types(self) -> list[str]:
        return [json.loads(body)["type"] for _, body in self.messages]


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.add_routes([web.post("/hook", receiver.hear), web.route("*", "/elsewhere", receiver.elsewhere)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    [address] = runner.addresses
    receiver.address = f"http://127.0.0.1:{address[1]}"
    try:
        yield receiver
    finally:
        await runner.cleanup()


@contextmanager
def receiving_beside() -> Iterator[Receiver]:
    """The same in a thread of its own, for tests that wait for processes."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    opened = receiving()
    try:
        yield asyncio.run_coroutine_threadsafe(opened.__aenter__(), loop).result(10)
    finally:
        asyncio.run_coroutine_threadsafe(opened.__aexit__(None, None, None), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()

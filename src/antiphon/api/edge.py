"""The outermost layer: every request enters and every answer leaves here."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence

from starlette.types import Receive, Scope, Send

from antiphon.access.keys import Keys
from antiphon.admission.gate import Gate
from antiphon.api.auth import authenticate
from antiphon.api.exchange import Exchange
from antiphon.api.limits import caller_headers
from antiphon.api.routes import Route, Router
from antiphon.errors import Unavailable
from antiphon.inference.metrics import Metrics
from antiphon.settings import Settings

_log = logging.getLogger("antiphon.access")


class Edge:
    """The ASGI application: routes, refuses by default, cancels what nobody waits for, counts, drains."""

    def __init__(
        self, settings: Settings, routes: Sequence[Route], keys: Keys, gate: Gate, metrics: Metrics
    ) -> None:
        self._settings = settings
        self._router = Router(routes)
        self._keys = keys
        self._gate = gate
        self._metrics = metrics
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self.draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange(
            scope, receive, send, self._settings, lambda caller: caller_headers(self._gate, caller)
        )
        self._running += 1
        self._idle.clear()
        try:
            await self._until_gone(exchange)
        finally:
            self._record(exchange)
            self._running -= 1
            if not self._running:
                self._idle.set()

    async def drain(self) -> bool:
        """Refuse new requests and wait for the running ones. Whether all of them ended in time."""
        self.draining = True
        try:
            async with asyncio.timeout(self._settings.drain_seconds):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def _until_gone(self, exchange: Exchange) -> None:
        """Answer, unless the client goes away first: then the work is cancelled wherever it is."""
        work = asyncio.create_task(self._answer(exchange))
        gone = asyncio.create_task(exchange.gone())
        try:
            await asyncio.wait((work, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            work.cancel()
            gone.cancel()
            await asyncio.gather(work, gone, return_exceptions=True)

    async def _answer(self, exchange: Exchange) -> None:
        try:
            await self._dispatch(exchange)
        except Exception as problem:
            await exchange.fail(problem)

    async def _dispatch(self, exchange: Exchange) -> None:
        found = self._router.find(exchange.method, exchange.path)
        if found is not None:
            exchange.route = found[0].path
        if found is None or not found[0].public:
            if self.draining:
                raise Unavailable("The server is shutting down.", retry_after=self._settings.drain_seconds)
            exchange.caller = await authenticate(self._keys, exchange)
        if found is None:
            raise self._router.refusal(exchange.method, exchange.path)
        route, exchange.parameters = found
        await route.handler(exchange)

    def _record(self, exchange: Exchange) -> None:
        seconds = time.monotonic() - exchange.began
        status = exchange.status or 499
        self._metrics.requests.labels(exchange.route, str(status)).inc()
        self._metrics.seconds.labels(exchange.route).observe(seconds)
        _log.info(
            "%s %s %s %d %.0fms %s",
            exchange.id,
            exchange.method,
            exchange.route,
            status,
            seconds * 1000,
            exchange.caller.project_id if exchange.caller else "-",
        )

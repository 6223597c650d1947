"""The outermost layer: every request enters and every answer leaves here."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from functools import partial

from starlette.types import Receive, Scope, Send

from antiphon.access.authenticator import Authenticator
from antiphon.admission.gate import Gate
from antiphon.admission.turnstile import Turnstile
from antiphon.api.auth import authenticate, authorize, by_session, session_of
from antiphon.api.exchange import Exchange
from antiphon.api.limits import caller_headers
from antiphon.api.observing import Observer
from antiphon.api.retention import policed
from antiphon.api.routes import Route, Router
from antiphon.errors import RateLimited, Unavailable
from antiphon.inference.metrics import Metrics
from antiphon.settings import Settings
from antiphon.spans import Span, Value, Way, begin
from antiphon.status.counting import Counter
from antiphon.status.outcomes import PROBES
from antiphon.values import Caller

_log = logging.getLogger("antiphon.access")
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_HEALTH = {"/healthz", "/readyz"}
_CLOSED = {"connection": "close"}
_LATE_SECONDS = 0.02
"""From such a wait on, the gateway has more to do than it can."""
_CUT_OFF_SECONDS = 1.0
"""For telling those who are cut off."""


class Edge:
    """The ASGI application: routes, refuses by default, cancels what nobody waits for, counts, drains."""

    def __init__(
        self,
        settings: Settings,
        routes: Sequence[Route],
        keys: Authenticator,
        gate: Gate,
        metrics: Metrics,
        observers: Sequence[Observer] = (),
        counter: Counter | None = None,
        trace: Callable[[Way, Span], None] | None = None,
        proof: Callable[[str], str] = lambda secret: "",
    ) -> None:
        """`proof` gives what pages of a session send along with changes."""
        self._settings = settings
        self._router = Router(routes)
        self._keys = keys
        self._gate = gate
        self._metrics = metrics
        self._observers = observers
        self._turns = Turnstile()
        self._counter = counter
        self._trace = trace
        self._proof = proof
        self._running: set[asyncio.Task[None]] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._exchanges: set[Exchange] = set()
        self._cut_off = False
        self._leaving = False
        self.draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = partial(caller_headers, self._gate)
        exchange = Exchange(scope, receive, send, self._settings, headers, self._observers)
        if self._leaving:
            exchange.answer_headers |= _CLOSED
        self._exchanges.add(exchange)
        way = Way(exchange.id, exchange.headers.get("traceparent", ""), traced=self._trace is not None)
        begin(way)
        work = asyncio.create_task(self._answer(exchange))
        self._running.add(work)
        self._idle.clear()
        try:
            await self._until_gone(exchange, work)
        finally:
            self._record(exchange, way)
            self._running.discard(work)
            self._exchanges.discard(exchange)
            if not self._running:
                self._idle.set()

    def leave(self) -> None:
        """Another server takes new connections: let the clients of these close them after their next answer.

        Nobody is refused.
        """
        self._leaving = True
        for exchange in self._exchanges:
            exchange.answer_headers |= _CLOSED

    async def ended(self) -> None:
        """Return when no request runs."""
        await self._idle.wait()

    async def drain(self) -> bool:
        """Refuse new requests and wait for the running ones. Whether all of them ended in time.

        Those that did not are cut off: a stream ends with an error event, never as if it were whole.
        """
        self.draining = True
        if await self._until_idle(self._settings.drain_seconds):
            return True
        self.cut_off()
        await self._until_idle(_CUT_OFF_SECONDS)
        return False

    def cut_off(self) -> None:
        """End what runs, now: a stream ends with an error event, never as if it were whole."""
        if not self._cut_off:  # a second time would cut off the telling as well
            self.draining = self._cut_off = True
            for work in self._running:
                work.cancel()

    async def _until_idle(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def _until_gone(self, exchange: Exchange, work: asyncio.Task[None]) -> None:
        """Wait for the answer; when the client goes away first, the work is cancelled wherever it is.

        Unless it persists: then it runs to its end, for a retry.
        """
        gone = asyncio.create_task(exchange.gone())
        gone.add_done_callback(lambda _: exchange.persists or work.cancel())
        try:
            await asyncio.wait((work,))
        finally:
            gone.cancel()
            if not work.done():
                work.cancel()
                await asyncio.wait((work,))

    async def _answer(self, exchange: Exchange) -> None:
        try:
            await self._dispatch(exchange)
        except Exception as problem:
            if exchange.failing is not None and exchange.status == 0:
                await exchange.failing(exchange, problem)
            else:
                await exchange.fail(problem)
        except asyncio.CancelledError:
            if not self._cut_off:
                raise
            await exchange.fail(Unavailable("The server shut down before the answer was complete."))

    async def _dispatch(self, exchange: Exchange) -> None:
        method = "GET" if exchange.method == "HEAD" else exchange.method
        found = self._router.find(method, exchange.path)
        if found is not None:
            exchange.route, exchange.failing = found[0].path, found[0].failing
        if found is None or not found[0].public:
            if self.draining:
                raise Unavailable("The server is shutting down.", retry_after=self._settings.drain_seconds)
            exchange.caller = await self._caller(exchange)
        if found is None:
            raise self._router.refusal(exchange.method, exchange.path)
        route, exchange.parameters = found
        if exchange.caller is not None:
            exchange.turn = partial(self._turn, exchange.caller)
        if exchange.caller is not None:
            caller = await authorize(self._keys, exchange, exchange.caller, route.needs)
            exchange.caller = policed(exchange, caller)
        await route.handler(exchange)

    async def _caller(self, exchange: Exchange) -> Caller:
        """Who asks: by a key; or in the console, and for what its pages ask of the API, by a session."""
        if exchange.failing is not None:
            return await by_session(self._keys, exchange)
        if "authorization" not in exchange.headers and session_of(exchange):
            return await by_session(self._keys, exchange, self._proof)
        return await authenticate(self._keys, exchange)

    async def _turn(self, caller: Caller) -> None:
        """Wait for the caller's turn.

        Raises `RateLimited` if that took long and too much of it waits anyway: before it costs more.
        """
        waited = await self._turns.enter(caller.organization_id)
        if waited > _LATE_SECONDS and not self._gate.room(caller).remaining:
            raise RateLimited(
                "Too many requests of your organization are waiting. Please try again later.", retry_after=1
            )

    def _record(self, exchange: Exchange, way: Way) -> None:
        seconds = time.monotonic() - exchange.began
        status = exchange.status or 499
        if self._counter is not None:
            self._counter.count(exchange.ended, exchange.caller.organization_id if exchange.caller else "")
        self._metrics.requests.labels(exchange.route, str(status)).inc()
        self._metrics.seconds.labels(exchange.route).observe(seconds)
        self._metrics.bytes.labels(exchange.route, "in").inc(exchange.received)
        self._metrics.bytes.labels(exchange.route, "out").inc(exchange.sent)
        project = exchange.caller.project_id if exchange.caller else "-"
        fields = {
            "request_id": exchange.id,
            "method": exchange.method if exchange.method in _METHODS else "other",
            "route": exchange.route,
            "status": status,
            "seconds": round(seconds, 3),
            "project": project,
        }
        if self._trace is not None:
            self._trace(way, _whole(exchange, status, seconds))
        _log.log(
            _level(exchange),
            "%s %s %s %d %.0fms %s",
            exchange.id,
            exchange.method,
            exchange.route,
            status,
            seconds * 1000,
            project,
            extra={"fields": fields},
        )


def _level(exchange: Exchange) -> int:
    """Of a request's line in the log: those that ask how the server is, every second, drown all others."""
    own = exchange.caller is not None and exchange.caller.organization_id == PROBES
    return logging.DEBUG if own or exchange.route in _HEALTH else logging.INFO


def _whole(exchange: Exchange, status: int, seconds: float) -> Span:
    """The span of a whole request."""
    ended = time.time_ns()
    facts: dict[str, Value] = {
        "antiphon.request_id": exchange.id,
        "antiphon.project": exchange.caller.project_id if exchange.caller else "",
        "http.request.method": exchange.method if exchange.method in _METHODS else "other",
        "http.route": exchange.route,
        "http.response.status_code": status,
        "http.request.body.size": exchange.received,
        "http.response.body.size": exchange.sent,
    }
    failed = str(status) if status >= 500 else ""
    return Span(exchange.route, ended - round(seconds * 1e9), ended, facts, failed)

"""Several gateway processes on one listening socket: started, started anew when one dies, ended together."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import msgspec

from antiphon.cli.gateway import Post
from antiphon.pools.policy import Pace, after_failure
from antiphon.pools.reports import Gateways, Uses
from antiphon.settings import Settings

_LINE_BYTES = 2**24
"""Longest line that a gateway may say: some 60 bytes for each engine."""
_COMMAND = (sys.executable, "-P", "-m", "antiphon.cli.gateway")
_END_SECONDS = 15.0
"""What a gateway may take for its end beyond the drain, before it is killed."""

_log = logging.getLogger("antiphon")


class Supervisor:
    """Runs `settings.processes` gateways; each accepts connections from `listener` when it is free.

    Whatever happens to this process, they end: each holds one end of a pipe whose other end is here.
    """

    def __init__(
        self,
        settings: Settings,
        listener: socket.socket,
        gateways: Gateways,
        ready: Callable[[], None],
        pace: Pace | None = None,
        *,
        waits: bool = False,
    ) -> None:
        """`ready` is called once, when every gateway has been ready. By `gateways` they know of engines.

        If it `waits`, none of them takes a connection before its engines are ready: another server does.
        """
        self._settings = settings
        self._listener = listener
        self._gateways = gateways
        self._ready = ready
        self._pace = pace or Pace()
        self._running: dict[int, asyncio.subprocess.Process] = {}
        self._unready = set(range(1, settings.processes + 1))
        self._ending = asyncio.Event()
        self._left = False
        self._waits = waits

    async def run(self) -> None:
        """Keep the gateways running; returns when they have ended after `end`."""
        async with asyncio.TaskGroup() as group:
            for number in range(1, self._settings.processes + 1):
                group.create_task(self._keep(number), name=f"gateway-{number}")

    def end(self) -> None:
        """Let running requests end and take no new ones; a second call ends everything at once."""
        if not self._ending.is_set() or self._left:
            self._left = False
            self._ending.set()
            seconds = self._settings.drain_seconds + _END_SECONDS
            asyncio.get_running_loop().call_later(seconds, self._kill)
        for process in self._running.values():
            _send(process, signal.SIGTERM)

    def leave(self) -> None:
        """Make way for another server: no connection is taken any more, and whoever has one is served on."""
        if not self._ending.is_set():
            self._left = True
            self._ending.set()
            for process in self._running.values():
                _send(process, signal.SIGUSR1)

    async def _keep(self, number: int) -> None:
        failures = 0
        while not self._ending.is_set():
            ready_seconds, code = await self._live(number)
            if self._ending.is_set():
                return
            failures, delay = after_failure(failures, ready_seconds, self._pace)
            _log.warning("gateway %d ended with %s; starting anew in %.1f s", number, code, delay)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), delay)

    async def _live(self, number: int) -> tuple[float | None, int | str]:
        """One life of a gateway: how many seconds it was ready, if it ever was, and how it ended."""
        try:
            process = await self._start(number)
        except OSError as problem:
            return None, str(problem.strerror)
        ready_at = None
        telling = asyncio.create_task(self._tell(process), name=f"tell-{number}")
        try:
            async for uses in _said(process):
                if uses.ready and ready_at is None:
                    ready_at = time.monotonic()
                    self._is_ready(number)
                self._gateways.hear(number, uses)
            code = await process.wait()
        finally:
            telling.cancel()
            del self._running[number]
            self._gateways.gone(number)
            if process.returncode is None:
                _send(process, signal.SIGKILL)
                await process.wait()
        return (None if ready_at is None else time.monotonic() - ready_at), code

    async def _start(self, number: int) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            *_COMMAND,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LINE_BYTES,
            pass_fds=(self._listener.fileno(),),
            start_new_session=True,  # Ctrl-C in the terminal is for this process, which passes it on
        )
        self._running[number] = process
        if self._ending.is_set():
            _send(process, signal.SIGTERM)
        assert process.stdin is not None
        # One that is started later takes part in what the others do already.
        waits = self._waits and bool(self._unready)
        post = Post(self._settings, number, self._listener.fileno(), waits)
        process.stdin.write(msgspec.json.encode(post) + b"\n")
        # It stays open: its end tells the gateway that this process has ended.
        return process

    async def _tell(self, process: asyncio.subprocess.Process) -> None:
        """Let a gateway know of engines, whenever there are others; one that has ended hears nothing."""
        assert process.stdin is not None
        with suppress(ConnectionError):
            while True:
                change = self._gateways.change
                process.stdin.write(msgspec.json.encode(self._gateways.engines) + b"\n")
                await process.stdin.drain()
                await change.wait()

    def _is_ready(self, number: int) -> None:
        if self._unready:
            self._unready.discard(number)
            if not self._unready:
                self._ready()

    def _kill(self) -> None:
        for process in self._running.values():
            _send(process, signal.SIGKILL)


async def _said(process: asyncio.subprocess.Process) -> AsyncIterator[Uses]:
    """What a gateway says, until it ends."""
    assert process.stdout is not None
    async for line in process.stdout:
        with suppress(msgspec.DecodeError):  # whatever a library may have printed
            yield msgspec.json.decode(line, type=Uses)


def _send(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        process.send_signal(number)

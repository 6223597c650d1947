"""One gateway process: the running service behind an HTTP server, from its start to its drain.

It is the whole of `antiphon serve`, or one of several that `cli.supervisor` starts as
`python -m antiphon.cli.gateway`. These are told on stdin, in lines of JSON: first their `Post`, then what
engines there are whenever that changes; they end when it is closed. On stdout they say which they use.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import msgspec
import uvicorn
import uvloop
from msgspec.json import encode
from msgspec.structs import replace

from antiphon.api.edge import Edge
from antiphon.api.protocol import BoundedProtocol, bounded_protocol
from antiphon.app.running import Antiphon, running
from antiphon.cli.logs import configure
from antiphon.cli.output import report
from antiphon.pools.reports import Engines, Told, Uses
from antiphon.settings import Settings

_SAY_SECONDS = 0.25
"""Between two looks at whether there is something to say."""
_KEEP_ALIVE_SECONDS = 75
IDLE_SECONDS = 5.0
"""Without a request for so long, a connection is closed by a gateway that makes way. One on which requests
come more often is closed with an answer that says so: then no request can meet a closed connection."""
_LOOK_SECONDS = 0.1
_ORPHAN_SECONDS = 5.0
"""What is left to a gateway for an orderly end when its parent is gone."""

_log = logging.getLogger("antiphon")


class Post(msgspec.Struct, frozen=True):
    """What a gateway process is told, as one line of JSON."""

    settings: Settings
    process: int
    """Its number, from 1."""
    listener: int
    """The file descriptor of the listening socket."""
    waits: bool = False
    """Whether no connection is to be taken before the engines are ready."""


_M_ARENA_MAX, _ARENAS = -8, 2
"""glibc's number for how many pools of memory there are, and how many there are to be."""
Attend = Callable[[Callable[[], None], Callable[[], None]], None]
"""Acts on signals by calling the one to end, and the other to make way for another gateway."""


async def gateway(
    settings: Settings,
    listener: socket.socket,
    started: Callable[[Antiphon], None],
    ready: Callable[[], None],
    process: int | None = None,
    told: Told | None = None,
    *,
    attend: Attend,
    waits: bool = False,
) -> None:
    """Serve on `listener` until told to end.

    `started` is called once the service stands, `ready` once every engine has been ready; `process` is its
    number, if it is one of several, and of its engines it is `told`. If it `waits`, no connection is taken
    before the engines are ready: another server still takes them.
    """
    _share_memory()
    async with running(settings, process, told) as antiphon:
        config = uvicorn.Config(
            antiphon.edge,
            http=bounded_protocol(settings),
            ws="none",
            lifespan="off",
            access_log=False,
            proxy_headers=False,  # nothing here asks where a request comes from
            log_config=None,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=1,
        )
        server = _Server(config)
        ending = Ending(server, antiphon.edge, settings.handover_seconds)
        attend(ending.end, ending.leave)
        started(antiphon)
        announcing = asyncio.create_task(_announce(antiphon, ready))
        try:
            if waits:
                await ending.unless(antiphon.ready.wait())
            if not server.should_exit:
                await server.serve(sockets=[listener])
        finally:
            announcing.cancel()


class _Server(uvicorn.Server):
    """uvicorn's server without its own signal handling: the drain comes first, and the exit status is 0."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Ending:
    """How a gateway ends. Told to end once, it refuses what is new and lets running requests end; told twice,
    it ends at once. Told to leave, it makes way for another one, without a refusal to anybody."""

    def __init__(self, server: _Server, edge: Edge, seconds: float) -> None:
        """`seconds`: how long requests may go on when it leaves, before it ends as if it were told to."""
        self._server = server
        self._edge = edge
        self._seconds = seconds
        self._tasks: list[asyncio.Task[None]] = []
        self._ending = False
        self._told = asyncio.Event()

    def end(self) -> None:
        if self._told.is_set():
            self._edge.cut_off()
            self._server.should_exit = self._server.force_exit = True
            return
        self._told.set()
        self._begin_drain()

    def leave(self) -> None:
        if not self._tasks:
            self._tasks.append(asyncio.create_task(self._make_way(), name="leave"))

    async def unless(self, event: Coroutine[Any, Any, object]) -> None:
        """Wait for something, or for being told to end."""
        waiting = [asyncio.create_task(event), asyncio.create_task(self._told.wait())]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        if self._told.is_set():
            self._server.should_exit = True

    def _begin_drain(self) -> None:
        if not self._ending:
            self._ending = True
            _log.info("shutting down: running requests may end, new ones are refused")
            self._tasks.append(asyncio.create_task(self._drain(), name="drain"))

    async def _drain(self) -> None:
        if not await self._edge.drain():
            _log.warning("some requests did not end in time and are cut off")
        self._server.should_exit = True

    async def _make_way(self) -> None:
        """Return once nobody is left, or once those who are would take too long."""
        for accepting in getattr(self._server, "servers", ()):  # not there before it has begun to serve
            accepting.close()
        self._edge.leave()
        try:
            async with asyncio.timeout(self._seconds):
                await self._until_alone()
                await self._edge.ended()
        except TimeoutError:
            _log.warning("some requests did not end in time")
            self._begin_drain()
        else:
            self._server.should_exit = True

    async def _until_alone(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        while connections := self._server.server_state.connections:
            for connection in list(connections):
                assert isinstance(connection, BoundedProtocol)
                if min(connection.idle_seconds, loop.time() - began) > IDLE_SECONDS:
                    connection.shutdown()
            await asyncio.sleep(_LOOK_SECONDS)


def by_signals(end: Callable[[], None], leave: Callable[[], None]) -> None:
    """How one of several gateways is told: by its parent, which passes on what it hears itself."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    loop.add_signal_handler(signal.SIGUSR1, leave)


def _share_memory() -> None:
    """Let threads share a few pools of memory: each would keep in one of its own what a large body took."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # glibc's
        libc.mallopt(_M_ARENA_MAX, _ARENAS)


async def _announce(antiphon: Antiphon, ready: Callable[[], None]) -> None:
    await antiphon.ready.wait()
    # What is there now stays. To look through it for garbage would stop all streams for a tenth of a second.
    gc.collect()
    gc.freeze()
    ready()


def main() -> None:
    """Be one of several: the exit code says how it went."""
    lines = _lines(sys.stdin.fileno())
    post = msgspec.json.decode(next(lines), type=Post)
    configure(post.settings.log_level, post.settings.log_format, post.process)
    try:
        with socket.socket(fileno=post.listener) as listener:
            uvloop.run(_one_of_several(post, listener, lines))
    except Exception as problem:
        raise SystemExit(report(problem)) from None


async def _one_of_several(post: Post, listener: socket.socket, lines: Iterator[bytes]) -> None:
    told, voice = Told(), Voice(sys.stdout.fileno())
    loop = asyncio.get_running_loop()
    hearing = (lines, lambda engines: loop.call_soon_threadsafe(told.hear, engines))
    threading.Thread(target=_hear, args=hearing, name="hear", daemon=True).start()
    ready = asyncio.Event()
    speaking: list[asyncio.Task[None]] = []

    def started(antiphon: Antiphon) -> None:
        work = _speak(voice, told, antiphon, ready)
        speaking.append(asyncio.create_task(work, name="speak"))

    try:
        await gateway(
            post.settings,
            listener,
            started,
            ready.set,
            post.process,
            told,
            attend=by_signals,
            waits=post.waits,
        )
    finally:
        for task in speaking:
            task.cancel()


class Voice:
    """Says lines on a pipe, and never waits for its reader."""

    def __init__(self, pipe: int) -> None:
        os.set_blocking(pipe, False)
        self._pipe = pipe
        self._rest = b""

    def say(self, line: bytes) -> bool:
        """Whether there was room for it: else nothing of it is said."""
        self._write()
        if self._rest:
            return False
        self._rest = line + b"\n"
        self._write()
        return True

    def _write(self) -> None:
        with suppress(BlockingIOError, BrokenPipeError):
            while self._rest:
                self._rest = self._rest[os.write(self._pipe, self._rest) :]


async def _speak(voice: Voice, told: Told, antiphon: Antiphon, ready: asyncio.Event) -> None:
    """Say what is used, whenever that is something else, and whom to wake."""
    said, woken, heard = None, frozenset[str](), 0
    while True:
        woken |= told.wishes()
        waiting = {name: number for name, number in antiphon.waiting().items() if number}
        uses = Uses(antiphon.pools.busy(), waiting=waiting, ready=ready.is_set(), heard=heard)
        # By the next time the pools act according to it, and their requests are counted.
        heard = told.engines.number
        if (woken or uses != said) and voice.say(encode(replace(uses, woken=woken))):
            said, woken = uses, frozenset()
        await asyncio.sleep(_SAY_SECONDS)


def _lines(pipe: int) -> Iterator[bytes]:
    """The lines that come through a pipe, until it is closed.

    They are read without a lock: one that a thread holds while it waits would keep this process from its end.
    """
    rest = b""
    while data := os.read(pipe, 65_536):
        *lines, rest = (rest + data).split(b"\n")
        yield from lines


def _hear(lines: Iterator[bytes], told: Callable[[Engines], object]) -> None:
    """Pass on what the parent tells, until the pipe is closed: when it has ended, however it did."""
    for line in lines:
        with suppress(RuntimeError):  # its last words, when the loop that would hear them is closed
            told(msgspec.json.decode(line, type=Engines))
    # The engines end with the parent, so that nothing runs on that a drain would wait for.
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(_ORPHAN_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    main()

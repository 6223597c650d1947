"""One gateway process: the running service behind an HTTP server, from its start to its drain.

It is the whole of `antiphon serve`, or one of several that `cli.supervisor` starts as
`python -m antiphon.cli.gateway`. These are told on stdin, in lines of JSON: first their `Post`, then what
engines there are whenever that changes; they end when it is closed. On stdout they say which they use.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import msgspec
import uvicorn
import uvloop
from msgspec.json import encode
from msgspec.structs import replace

from antiphon.api.protocol import bounded_protocol
from antiphon.app.running import Antiphon, running
from antiphon.cli.output import report
from antiphon.pools.reports import Engines, Told, Uses
from antiphon.settings import Settings

_SAY_SECONDS = 0.25
"""Between two looks at whether there is something to say."""
_KEEP_ALIVE_SECONDS = 75
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


async def gateway(
    settings: Settings,
    listener: socket.socket,
    started: Callable[[Antiphon], None],
    ready: Callable[[], None],
    process: int | None = None,
    told: Told | None = None,
) -> None:
    """Serve on `listener` until SIGTERM or SIGINT.

    `started` is called once the service stands, `ready` once every engine has been ready; `process` is its
    number, if it is one of several, and of its engines it is `told`.
    """
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
        _on_signals(server, antiphon)
        started(antiphon)
        announcing = asyncio.create_task(_announce(antiphon, ready))
        try:
            await server.serve(sockets=[listener])
        finally:
            announcing.cancel()


class _Server(uvicorn.Server):
    """uvicorn's server without its own signal handling: the drain comes first, and the exit status is 0."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _on_signals(server: _Server, antiphon: Antiphon) -> None:
    """The first signal drains, the second ends at once."""
    draining: list[asyncio.Task[None]] = []

    async def drain() -> None:
        if not await antiphon.edge.drain():
            _log.warning("some requests did not end in time and are cut off")
        server.should_exit = True

    def on_signal() -> None:
        if draining:
            server.should_exit = server.force_exit = True
        else:
            _log.info("shutting down: running requests may end, new ones are refused")
            draining.append(asyncio.create_task(drain()))

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)


async def _announce(antiphon: Antiphon, ready: Callable[[], None]) -> None:
    await antiphon.ready.wait()
    # What is there now stays. To look through it for garbage would stop all streams for a tenth of a second.
    gc.collect()
    gc.freeze()
    ready()


def configure_logging(settings: Settings, process: int | None = None) -> None:
    """Log to stderr; lines of one of several gateway processes carry its number."""
    name = "" if process is None else f" [{process}]"
    logging.basicConfig(
        level=settings.log_level.upper(),
        format=f"%(asctime)s{name} %(levelname)s %(name)s %(message)s",
    )
    for noisy in ("alembic", "aiosqlite"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def main() -> None:
    """Be one of several: the exit code says how it went."""
    lines = _lines(sys.stdin.fileno())
    post = msgspec.json.decode(next(lines), type=Post)
    configure_logging(post.settings, post.process)
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
        await gateway(post.settings, listener, started, ready.set, post.process, told)
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

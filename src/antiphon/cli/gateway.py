"""One gateway process: the running service behind an HTTP server, from its start to its drain.

It is the whole of `antiphon serve`, or one of several that `cli.supervisor` starts as
`python -m antiphon.cli.gateway`, which read their `Post` from stdin and end when that is closed.
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
from contextlib import contextmanager

import msgspec
import uvicorn
import uvloop

from antiphon.api.protocol import bounded_protocol
from antiphon.app import Antiphon, running
from antiphon.cli.output import report
from antiphon.settings import Settings

READY = b"ready\n"
"""What a gateway that was started by another process says once a request would be answered."""
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
) -> None:
    """Serve on `listener` until SIGTERM or SIGINT.

    `started` is called once the service stands, `ready` once every engine has been ready; `process` is its
    number, if it is one of several.
    """
    async with running(settings, process) as antiphon:
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
    with open(0, "rb", buffering=0, closefd=False) as told:
        post = msgspec.json.decode(told.readline(), type=Post)
    threading.Thread(target=_end_with_parent, name="end-with-parent", daemon=True).start()
    configure_logging(post.settings, post.process)
    try:
        with socket.socket(fileno=post.listener) as listener:
            uvloop.run(gateway(post.settings, listener, lambda _: None, _say_ready, post.process))
    except Exception as problem:
        raise SystemExit(report(problem)) from None


def _say_ready() -> None:
    os.write(sys.stdout.fileno(), READY)


def _end_with_parent() -> None:
    """Wait until the parent's end of stdin is closed, which is when it has ended, however it did."""
    while os.read(0, 1):
        continue
    # The engines end with the parent, so that nothing runs on that a drain would wait for.
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(_ORPHAN_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    main()

"""`antiphon serve`: the service, from its first start to its drain."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
import uvloop
from rich.console import Console

from antiphon.api.protocol import bounded_protocol
from antiphon.app import Antiphon, running
from antiphon.catalogue.catalogue import load
from antiphon.catalogue.store import ModelStore
from antiphon.cli.models import progress_bars
from antiphon.errors import ConfigurationError
from antiphon.settings import Settings

_log = logging.getLogger("antiphon")
_KEEP_ALIVE_SECONDS = 75


def serve(settings: Settings) -> None:
    """Serve until a signal; what the command line shows of it stands in `cli.main`."""
    logging.basicConfig(
        level=settings.log_level.upper(),
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    for noisy in ("alembic", "aiosqlite"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    with _only_one(settings.home_path), _listening(settings) as listener:
        _install_missing(settings.home_path)
        uvloop.run(_serve(settings, listener))


def _install_missing(home: Path) -> None:
    """Bring the bundled models to where they are served from; the first start does it once and for all."""
    missing = load(home).missing()
    if not missing:
        return
    with progress_bars() as progress:
        for entry in missing:
            ModelStore(home).install(entry, progress)


async def _serve(settings: Settings, listener: socket.socket) -> None:
    began = time.monotonic()
    async with running(settings) as antiphon:
        config = uvicorn.Config(
            antiphon.edge,
            http=bounded_protocol(settings),
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=1,
        )
        server = _Server(config)
        _on_signals(server, antiphon)
        _greet(listener, antiphon.first_key)
        announcing = asyncio.create_task(_announce(antiphon, began))
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


def _greet(listener: socket.socket, first_key: str | None) -> None:
    host, port = listener.getsockname()[:2]
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    out = Console(highlight=False, soft_wrap=True)
    out.print(f"Antiphon serves {address}/v1 (reference: {address}/docs/api)")
    if first_key is None:
        out.print("Keys are shown once; `antiphon keys create` makes another.")
        return
    out.print("Your key, shown this once:\n")
    out.print(first_key)
    out.print(
        f"\ncurl {address}/v1/chat/completions -H 'Authorization: Bearer {first_key}' "
        "-H 'Content-Type: application/json' "
        """-d '{"model": "gpt-3.5-turbo", "max_tokens": 60, """
        """"messages": [{"role": "user", "content": "Say hello."}]}'\n""",
        markup=False,
    )


async def _announce(antiphon: Antiphon, began: float) -> None:
    await antiphon.ready.wait()
    Console(highlight=False).print(f"Ready after {time.monotonic() - began:.1f} s.")


@contextmanager
def _listening(settings: Settings) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listener = socket.create_server((settings.host, settings.port), family=family, backlog=2048)
    except OSError as problem:
        raise ConfigurationError(
            f"Cannot listen on {settings.host} port {settings.port}: {problem.strerror}",
            fix="choose another with --host and --port (ANTIPHON_HOST, ANTIPHON_PORT)",
        ) from None
    with listener:
        yield listener


@contextmanager
def _only_one(home: Path) -> Iterator[None]:
    """Hold the data folder: two servers on one would take each other's uploads for left-overs."""
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (home / "serve.lock").open("w")
    except OSError as problem:
        raise ConfigurationError(
            f"The data folder {home} cannot be written: {problem.strerror}",
            fix="choose another with --home (ANTIPHON_HOME)",
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(
                f"An Antiphon is already running on the data folder {home}",
                fix="end it, or choose another folder with --home (ANTIPHON_HOME)",
            ) from None
        yield

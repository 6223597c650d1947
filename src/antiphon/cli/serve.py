"""`antiphon serve`: one process, or one that supervises the engines and several gateway processes."""

from __future__ import annotations

import asyncio
import fcntl
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvloop
from msgspec.structs import replace
from rich.console import Console

from antiphon.app.running import supervising
from antiphon.catalogue.catalogue import Catalogue, load
from antiphon.catalogue.store import ModelStore
from antiphon.cli.gateway import configure_logging, gateway
from antiphon.cli.models import current, prepare, progress_bars
from antiphon.cli.supervisor import Supervisor
from antiphon.errors import ConfigurationError
from antiphon.settings import Settings


def serve(settings: Settings) -> None:
    """Serve until a signal; what the command line shows of it stands in `cli.main`."""
    configure_logging(settings)
    with _only_one(settings.home_path), _listening(settings) as listener:
        catalogue = _installed(settings)
        # Where it really listens: a port that was chosen by the system is one that probes have to know.
        settings = replace(settings, port=listener.getsockname()[1])
        work = _alone if settings.processes == 1 else _several
        uvloop.run(work(settings, listener, _chat_alias(catalogue)))


async def _alone(settings: Settings, listener: socket.socket, example: str) -> None:
    began = time.monotonic()
    await gateway(
        settings,
        listener,
        started=lambda antiphon: _greet(listener, antiphon.first_key, example),
        ready=lambda: _announce(began),
    )


async def _several(settings: Settings, listener: socket.socket, example: str) -> None:
    began = time.monotonic()
    async with supervising(settings) as engines:
        supervisor = Supervisor(settings, listener, engines.gateways, ready=lambda: _announce(began))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, supervisor.end)
        _greet(listener, engines.first_key, example)
        await supervisor.run()
        listener.close()  # while the engines end, nobody shall wait for an answer


def _installed(settings: Settings) -> Catalogue:
    """The catalogue, once the bundled models are where they are served from: the first start brings them."""
    home = settings.home_path
    store = ModelStore(home)
    if missing := load(home).missing():
        with progress_bars() as progress:
            for entry in missing:
                store.install(entry, progress)
    catalogue = current(settings)
    own = {one.snapshot for one in catalogue.instances}
    sold = {id for id, entry in catalogue.entries.items() if entry.dedicated} & catalogue.installed
    for id in sorted(catalogue.served | own | sold):
        prepare(store, catalogue.entries[id], settings)
    return catalogue


def _chat_alias(catalogue: Catalogue) -> str:
    """The first name that a chat may ask for; empty if there is none."""
    meant = {name: catalogue.entries[catalogue.meaning(name)] for name in catalogue.aliases}
    return next((name for name, entry in meant.items() if entry.task == "chat"), "")


def _greet(listener: socket.socket, first_key: str | None, example: str) -> None:
    """Say where it is served; on the first start also the key, and a request to `example`, a chat model."""
    host, port = listener.getsockname()[:2]
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    out = Console(highlight=False, soft_wrap=True)
    out.print(f"Antiphon serves {address}/v1 (reference: {address}/docs/api)")
    if first_key is None:
        out.print("Keys are shown once; `antiphon keys create` makes another.")
        return
    out.print("Your key, shown this once:\n")
    out.print(first_key)
    if example:
        out.print(
            f"\ncurl {address}/v1/chat/completions -H 'Authorization: Bearer {first_key}' "
            "-H 'Content-Type: application/json' "
            f"""-d '{{"model": "{example}", "max_tokens": 60, """
            """"messages": [{"role": "user", "content": "Say hello."}]}'\n""",
            markup=False,
        )


def _announce(began: float) -> None:
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

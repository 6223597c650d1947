"""`antiphon serve`: one process, or one that supervises the engines and several gateway processes."""

from __future__ import annotations

import fcntl
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import uvloop
from msgspec.structs import replace
from rich.console import Console

from antiphon.access.access import Firsts
from antiphon.app.running import supervising
from antiphon.catalogue.catalogue import Catalogue, load
from antiphon.catalogue.store import ModelStore
from antiphon.cli.gateway import gateway
from antiphon.cli.handover import Handed, hear_signals, inherited, say
from antiphon.cli.logs import configure
from antiphon.cli.models import current, prepare, progress_bars
from antiphon.cli.restarts import Restarts
from antiphon.cli.standing import LOCK_NAME
from antiphon.cli.supervisor import Supervisor
from antiphon.errors import ConfigurationError
from antiphon.settings import Settings


def serve(settings: Settings) -> None:
    """Serve until a signal; what the command line shows of it stands in `cli.main`."""
    configure(settings.log_level, settings.log_format)
    handed = inherited()
    hear_signals()
    try:
        with _only_one(settings.home_path, handed) as lock, _listening(settings, handed) as listener:
            # The gateway closes its own when it takes no more connections: some may still wait in this.
            with listener.dup() as kept:
                # Where it really listens: a port that the system chose is one that probes have to know.
                served = replace(settings, port=listener.getsockname()[1])
                restarts = Restarts(served, handed, kept.fileno(), lock)
                restarts.begin()
                example = _chat_alias(_installed(settings))
                work = _alone if settings.processes == 1 else _several
                uvloop.run(work(served, listener, example, restarts))
                restarts.close()
    except Exception as problem:
        say(handed, problem)
        raise


async def _alone(settings: Settings, listener: socket.socket, example: str, restarts: Restarts) -> None:
    announce = _announcing(restarts)
    await gateway(
        settings,
        listener,
        started=lambda antiphon: _greet(listener, antiphon.firsts, example, settings.public_url),
        ready=announce,
        attend=restarts.attend,
        waits=restarts.waits,
    )
    await restarts.settle()


async def _several(settings: Settings, listener: socket.socket, example: str, restarts: Restarts) -> None:
    announce = _announcing(restarts)
    async with supervising(settings) as engines:
        gateways = engines.gateways
        supervisor = Supervisor(settings, listener, gateways, ready=announce, waits=restarts.waits)
        restarts.attend(supervisor.end, supervisor.leave)
        _greet(listener, engines.firsts, example, settings.public_url)
        await supervisor.run()
        listener.close()  # while the engines end, nobody shall wait for an answer
    await restarts.settle()


def _announcing(restarts: Restarts) -> Callable[[], None]:
    began = time.monotonic()

    def announce() -> None:
        Console(highlight=False).print(f"Ready after {time.monotonic() - began:.1f} s.")
        restarts.ready()

    return announce


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


def _greet(listener: socket.socket, firsts: Firsts, example: str, public_url: str) -> None:
    """Say where it is served; on the first start also the key, and a request to `example`, a chat model.

    Until somebody can sign in to the console, also a link that lets its first owner in.
    """
    host, port = listener.getsockname()[:2]
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    out = Console(highlight=False, soft_wrap=True)
    out.print(f"Antiphon serves {address}/v1 (console: {address}/, documentation: {address}/docs)")
    if firsts.link is not None:
        out.print("\nOpen this within 15 minutes to set your password for the console, once:\n")
        out.print(f"{public_url or address}/sign-in/link?token={firsts.link}\n")
    if firsts.key is None:
        out.print("Keys are shown once; `antiphon keys create` makes another.")
        return
    out.print("Your key, shown this once:\n")
    out.print(firsts.key)
    if example:
        out.print(
            f"\ncurl {address}/v1/chat/completions -H 'Authorization: Bearer {firsts.key}' "
            "-H 'Content-Type: application/json' "
            f"""-d '{{"model": "{example}", "max_tokens": 60, """
            """"messages": [{"role": "user", "content": "Say hello."}]}'\n""",
            markup=False,
        )


@contextmanager
def _listening(settings: Settings, handed: Handed | None) -> Iterator[socket.socket]:
    """The socket that connections come to: of the server before, if there was one."""
    with _handed_on(settings, handed) if handed else _opened(settings) as listener:
        yield listener


def _opened(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=2048)
    except OSError as problem:
        raise ConfigurationError(
            f"Cannot listen on {settings.host} port {settings.port}: {problem.strerror}",
            fix="choose another with --host and --port (ANTIPHON_HOST, ANTIPHON_PORT)",
        ) from None


def _handed_on(settings: Settings, handed: Handed) -> socket.socket:
    listener = socket.socket(fileno=handed.listener)
    host, port = listener.getsockname()[:2]
    found = socket.getaddrinfo(settings.host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    if host not in {address[4][0] for address in found} or settings.port not in (0, port):
        listener.close()
        raise ConfigurationError(
            f"A restart goes on with the address {host} port {port}, and not with {settings.host} "
            f"port {settings.port}",
            fix="end the server and start it anew, which is how its address is changed",
        )
    return listener


@contextmanager
def _only_one(home: Path, handed: Handed | None) -> Iterator[int]:
    """Hold the data folder, by a file descriptor: two servers on one would be in each other's way.

    One that takes over has the lock of the one before, which so is let go of when the last of them ends.
    """
    if handed:
        yield handed.lock
        return
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (home / LOCK_NAME).open("ab")
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
                fix="end it, restart it with `antiphon restart`, or choose another folder with --home "
                "(ANTIPHON_HOME)",
            ) from None
        yield lock.fileno()

"""Antiphon and its bare engines as the real processes that users start; the end-to-end tests share them."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar
from urllib.error import HTTPError
from urllib.request import urlopen

import psutil

from antiphon.workers import chat

LLAMA = "antiphon.workers.llama"
OPENVINO = "antiphon.workers.chat"
"""The modules of the chat engines' processes."""
START_SECONDS = 120.0
STOP_SECONDS = 40.0
POLL_SECONDS = 0.1

Found = TypeVar("Found")


@dataclass(frozen=True)
class Server:
    """A running `antiphon serve`."""

    url: str
    """Where the API begins, with `/v1`."""
    key: str
    home: Path
    log: Path
    """Everything that the process printed."""
    pid: int

    @property
    def root(self) -> str:
        return self.url.removesuffix("/v1")


@contextmanager
def antiphon(
    home: Path,
    settings: Mapping[str, str] | None = None,
    key: str | None = None,
    program: Sequence[str] = (str(Path(sys.executable).with_name("antiphon")),),
    seconds: float = START_SECONDS,
) -> Iterator[Server]:
    """Start `antiphon serve` in the data folder `home`, on a free port, and wait until it is ready.

    `settings` are environment variables; `key` is one from an earlier start, since a later one prints none;
    `program` is what is run as `antiphon`; `seconds` are what a start may take.
    Raises `RuntimeError`, with the end of the log, when it does not get ready in time or does not end
    cleanly after SIGTERM.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ANTIPHON_")}
    # Nothing is asked of it beside what is measured, unless that is told.
    quiet = {"ANTIPHON_PROBE_SECONDS": "0", "PYTHONUNBUFFERED": "1"}
    own = {"ANTIPHON_HOME": str(home), "ANTIPHON_PORT": "0", **quiet, **(settings or {})}
    home.mkdir(parents=True, exist_ok=True)
    prepared, kept = home / "models" / ".prepared", prepared_before()
    _copy_folders(kept, prepared)
    log = home / "serve.log"
    with _process([*program, "serve"], log, {**inherited, **own}) as process:
        root, secret = _until(process, log, lambda: _announced(log, key), seconds)
        _until(process, log, lambda: _ready(f"{root}/readyz"), seconds)
        _copy_folders(prepared, kept)
        yield Server(url=f"{root}/v1", key=secret, home=home, log=log, pid=process.pid)
    if process.returncode != 0:
        raise RuntimeError(f"antiphon serve ended with {process.returncode} after SIGTERM:\n{tail(log)}")


def prepared_before() -> Path:
    """What earlier runs made of models for their engines: that takes half a minute, and is always the same
    as long as the code is."""
    code = sorted(Path(chat.__file__).parent.glob("*.py"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in code)).hexdigest()
    return Path(__file__).parents[1] / "build" / "prepared" / digest[:12]


def _copy_folders(source: Path, target: Path) -> None:
    """Whole folders only, so that another run may do the same at the same time."""
    for made in source.glob("*/manifest.json"):
        folder = made.parent
        if (target / folder.name).exists():
            continue
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".copy-", dir=target) as draft, suppress(OSError):
            copied = Path(draft) / folder.name
            shutil.copytree(folder, copied)
            copied.rename(target / folder.name)


@contextmanager
def peer(
    command: Sequence[str],
    log: Path,
    environment: Mapping[str, str],
    health: str,
    seconds: float = START_SECONDS,
) -> Iterator[int]:
    """Run another server until the block ends: its process id, once the address `health` answers with 200.

    Raises `RuntimeError`, with the end of the log, or `OSError` if it cannot be started.
    """
    with _process(command, log, {**os.environ, **environment}) as process:
        _until(process, log, lambda: _ready(health), seconds)
        yield process.pid


def engine_process(server: Server, module: str) -> psutil.Process:
    """The process of the engine `module`; not one of embeddings, which is llama.cpp's as well."""
    for child in psutil.Process(server.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # it ended meanwhile
            command = child.cmdline()
            if module in command and "--pooling" not in command:
                return child
    raise RuntimeError(f"antiphon serve runs no {module}")


def chat_engine(server: Server) -> str:
    """The module of the chat engine that always runs: of two, the other one runs on demand."""
    for module in (OPENVINO, LLAMA):
        with suppress(RuntimeError):
            engine_process(server, module)
            return module
    raise RuntimeError("antiphon serve runs no chat engine")


def flag(command: Sequence[str], name: str) -> str:
    """The value that follows `name` in a command."""
    return command[command.index(name) + 1]


@contextmanager
def engine(server: Server, module: str, address: Path) -> Iterator[None]:
    """Start the engine `module` once more, as Antiphon did but on the Unix socket `address`.

    Its flags are the same, and so is what its environment says of threads and memory. Returns once its
    `/health` is well.
    """
    original = engine_process(server, module)
    command = original.cmdline()
    tuned = {k: v for k, v in original.environ().items() if k.startswith(("OMP_", "GOMP_", "MALLOC_"))}
    log = address.with_suffix(".log")
    command = [
        f"unix:{address}" if before == "--listen" else word for before, word in pairwise(["", *command])
    ]
    with _process(command, log, {**os.environ, **tuned}) as process:
        _until(process, log, lambda: _healthy(address))
        yield


def free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def tail(log: Path, characters: int = 4000) -> str:
    """The end of what a process printed."""
    return log.read_text(errors="replace")[-characters:]


@contextmanager
def _process(
    command: Sequence[str], log: Path, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_SECONDS)


def _until(
    process: subprocess.Popen[bytes],
    log: Path,
    look: Callable[[], Found | None],
    seconds: float = START_SECONDS,
) -> Found:
    """What `look` finds, asked again and again until the deadline."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the process ended with {process.returncode}:\n{tail(log)}")
        if (found := look()) is not None:
            return found
        time.sleep(POLL_SECONDS)
    raise RuntimeError(f"not ready within {seconds:.0f} s:\n{tail(log)}")


def _announced(log: Path, key: str | None) -> tuple[str, str] | None:
    """The address and the key, the given one or that which the first start prints, once both are there."""
    text = log.read_text(errors="replace")
    address = re.search(r"http://127\.0\.0\.1:\d+", text)
    printed = re.search(r"^\s*(sk-\S+)\s*$", text, re.MULTILINE)
    secret = key or (printed[1] if printed else None)
    return (address[0], secret) if address and secret else None


def _ready(url: str) -> bool | None:
    try:
        with urlopen(url, timeout=5) as answer:
            return answer.status == 200 or None
    except HTTPError as refusal:
        refusal.close()
        return None
    except OSError:  # not listening yet
        return None


def _healthy(path: Path) -> bool | None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        try:
            connection.connect(str(path))
            connection.sendall(b"GET /health HTTP/1.0\r\nHost: engine\r\n\r\n")
            return b" 200 " in connection.recv(64) or None
        except OSError:  # not listening yet
            return None

"""The sides that a run compares: real servers, each of which runs from its first turn to the end."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
from gguf import GGMLQuantizationType as Kind
from gguf import GGUFReader

from antiphon.catalogue.catalogue import load
from antiphon.cores import cores
from antiphon.workers.chat.requantize import requantize
from benchmarks.chat import peer
from benchmarks.chat.client import Target, ask, body, session
from benchmarks.chat.values import ANTIPHON, REFERENCE, REQUANTIZED, SHIPPED
from benchmarks.processes import OPENVINO, Server, antiphon, chat_engine, engine_process, free_port
from benchmarks.processes import peer as running_peer

MODEL = "gpt-3.5-turbo"
PARALLEL, CONTEXT = 32, 2048
WARM_UP = [{"role": "user", "content": "Good morning! Who are you, and what is the weather like?"}]
KINDS = {REQUANTIZED: Kind.Q4_0, REFERENCE: Kind.F32}
SETTINGS = {
    # A slow machine is to be measured, not refused by.
    "ANTIPHON_QUEUE_SECONDS": "900",
    "ANTIPHON_QUEUE_PER_ORGANIZATION": "64",
    "ANTIPHON_REQUESTS_PER_MINUTE": "1000000",
    "ANTIPHON_TOKENS_PER_MINUTE": "1000000000",
}


class Lineup:
    """Starts a side when it is first asked for. Everything ends with `close`."""

    def __init__(self, folder: Path) -> None:
        """`folder` is for logs, and for the files made of the model."""
        self._folder = folder
        self._stack = ExitStack()
        self._home = Path(self._stack.enter_context(TemporaryDirectory(prefix="antiphon-"))) / "home"
        self._server: Server | None = None
        self._running: dict[str, Target] = {}

    @property
    def server(self) -> Server:
        """The running Antiphon, started if it has to be."""
        if self._server is None:
            self._server = self._stack.enter_context(antiphon(self._home, SETTINGS))
        return self._server

    @property
    def model(self) -> Path:
        """The file that all sides serve, as it is published."""
        catalogue = load(self.server.home)
        entry = catalogue.entries[catalogue.aliases[MODEL].snapshot]
        return self.server.home / "models" / entry.id / entry.files[0].name

    @property
    def prepared(self) -> Path | None:
        """The folder that was made of it for Antiphon's engine; None if that reads the file."""
        found = sorted((self.server.home / "models" / ".prepared").glob("*/manifest.json"))
        return found[0].parent if found and self.engine == OPENVINO else None

    @property
    def engine(self) -> str:
        """The module of the chat engine that Antiphon runs."""
        return chat_engine(self.server)

    async def target(self, name: str) -> Target:
        """The side, warm: first calls pay for what later ones reuse."""
        if name not in self._running:
            found = await asyncio.to_thread(self._start, name)
            async with session(found) as opened:
                await ask(opened, found, body(found, WARM_UP, 16))
            self._running[name] = found
        return self._running[name]

    def peak_mib(self, name: str) -> float:
        """The most that a side ever had resident."""
        return sum(_peak_mib(pid) for pid in self._running[name].processes)

    def close(self) -> None:
        self._running.clear()
        self._stack.close()

    def _start(self, name: str) -> Target:
        if name == ANTIPHON:
            server = self.server
            return Target(
                server.url, MODEL, server.key, (server.pid, engine_process(server, self.engine).pid)
            )
        file = self.model if name == SHIPPED else self._made(name)
        return self._stack.enter_context(_llama(file, self._folder / f"{file.stem}.log"))

    def _made(self, name: str) -> Path:
        kind = KINDS[name]
        path = self._folder / f"{self.model.stem}-{kind.name}.gguf"
        if not path.exists():
            partial = path.with_suffix(".partial")
            requantize(GGUFReader(self.model), partial, lambda done, total: None, kind)
            partial.replace(path)
        return path


@contextmanager
def _llama(file: Path, log: Path) -> Iterator[Target]:
    log.parent.mkdir(parents=True, exist_ok=True)
    port = free_port()
    given = {"model": file, "port": port, "parallel": PARALLEL, "context": CONTEXT, "threads": cores()}
    flags = [word for name, value in given.items() for word in (f"--{name}", str(value))]
    command = [sys.executable, "-m", peer.__name__, *flags]
    with running_peer(command, log, {}, f"http://127.0.0.1:{port}/health") as pid:
        yield Target(f"http://127.0.0.1:{port}/v1", MODEL, processes=(pid,))


def _peak_mib(pid: int) -> float:
    """The most that a process ever had resident, as Linux counts it; elsewhere what it has now."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return psutil.Process(pid).memory_info().rss / 2**20
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    return int(fields["VmHWM"].split()[0]) / 2**10

"""Antiphon as the benchmarks start it: when it is first needed, with the bundled models."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.processes import Server, antiphon, engine_process, flag

ENGINE = "antiphon.workers.speech"
DEFAULT_BEAM = 5
SETTINGS = {
    # A slow machine is to be measured, not refused by.
    "ANTIPHON_QUEUE_SECONDS": "3600",
    "ANTIPHON_QUEUE_PER_ORGANIZATION": "64",
    "ANTIPHON_SPEECH_SECONDS": "600",
}


class House:
    """A running Antiphon, and what its speech engine was started with."""

    def __init__(self, beam: int | None) -> None:
        """`beam` is asked of Antiphon; without it, Antiphon's own default is measured."""
        self._asked = beam
        self._stack = ExitStack()
        self._starting = asyncio.Lock()
        self._server: Server | None = None

    async def server(self) -> Server:
        async with self._starting:
            if self._server is None:
                self._server = await asyncio.to_thread(self._start)
            return self._server

    async def engine(self) -> int:
        """The process id of the speech engine."""
        return engine_process(await self.server(), ENGINE).pid

    async def model(self) -> Path:
        """The folder of the model that it serves."""
        return model_folder(await self._command())

    async def threads(self) -> int:
        return int(flag(await self._command(), "--threads"))

    async def beam(self) -> int:
        """Raises `RuntimeError` when the engine runs with another beam than was asked for."""
        command = await self._command()
        runs = int(flag(command, "--beam")) if "--beam" in command else self._asked or DEFAULT_BEAM
        if self._asked is not None and runs != self._asked:
            raise RuntimeError(f"the speech engine runs with a beam of {runs}, not {self._asked}")
        return runs

    async def close(self) -> None:
        self._server = None
        await asyncio.to_thread(self._stack.close)

    async def _command(self) -> list[str]:
        return engine_process(await self.server(), ENGINE).cmdline()

    def _start(self) -> Server:
        beam = {} if self._asked is None else {"ANTIPHON_SPEECH_BEAM": str(self._asked)}
        home = Path(self._stack.enter_context(TemporaryDirectory(prefix="antiphon-"))) / "home"
        return self._stack.enter_context(antiphon(home, SETTINGS | beam))


def model_folder(command: list[str]) -> Path:
    """The folder that follows `--model`: alone, or after an id and an equals sign."""
    value = flag(command, "--model")
    name, sign, folder = value.partition("=")
    return Path(folder) if sign and "/" not in name else Path(value)

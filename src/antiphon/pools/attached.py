"""An engine that another process of this machine supervises: found by its link, used, never ended.

    starting -> ready -> starting ...        any -> stopped

The link is the truth about which process is the engine: its supervisor removes it when that has ended, and
lets it lead to the next one. Whether that one would serve a request is found out here, by probes of its own.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from antiphon.engines.base import ChatEngine, EngineKind, SpeechEngine
from antiphon.errors import EngineFailed
from antiphon.pools.policy import Pace
from antiphon.pools.replica import Serving, State, Status, explain
from antiphon.runtime.local import LocalRuntime
from antiphon.settings import Settings
from antiphon.values import Deployment

log = logging.getLogger("antiphon.pools")


class AttachedReplica:
    """Follows one deployment's engine from `start` to `stop`."""

    def __init__(
        self,
        deployment: Deployment,
        kind: EngineKind,
        changed: Callable[[], None],
        *,
        settings: Settings,
        runtime: LocalRuntime,
        pace: Pace,
    ) -> None:
        self._deployment = deployment
        self._kind = kind
        self._changed = changed
        self._settings = settings
        self._runtime = runtime
        self._pace = pace
        self.serving: Serving | None = None
        """Set while it is ready."""
        self._state: State = "stopped"
        self._since = time.time()
        self._restarts = 0
        self._error: str | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; it becomes ready later. Needs a running event loop."""
        self._task = asyncio.create_task(self._attend(), name=f"attached-{self._deployment.snapshot}")

    async def stop(self, grace: float) -> None:
        """Let go of the engine, which goes on."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.wait({self._task})
        self._task = None
        self._enter("stopped")

    def status(self) -> Status:
        """As a replica's; whose process it is, its supervisor knows."""
        return Status(
            state=self._state,
            since=self._since,
            pid=None,
            restarts=self._restarts,
            busy=self.serving.busy if self.serving else 0,
            error=self._error,
        )

    async def _attend(self) -> NoReturn:
        self._enter("starting")
        while True:
            socket = await self._find()
            if socket is not None:
                try:
                    await self._follow(socket)
                except Exception as problem:
                    self._error = str(explain(problem, self._deployment.snapshot))
                    await asyncio.sleep(self._pace.backoff)
                self._restarts += 1
            await asyncio.sleep(self._pace.look)

    async def _follow(self, socket: Path) -> None:
        """Use the engine at `socket` for as long as it is the one."""
        engine = self._kind.connect(self._deployment, self._settings, socket)
        try:
            while await self._answers(engine, socket):
                if self.serving is None:
                    self._enter("ready", Serving(engine))
                    log.info("attached to the engine of %s", self._deployment.snapshot)
                if not await self._rest(socket):
                    break
            self._error = "The engine ended."
        finally:
            self._enter("starting")
            await engine.close()

    async def _rest(self, socket: Path) -> bool:
        """Wait until the next probe is due; whether the engine was the one all the time."""
        due = time.monotonic() + self._pace.probe
        while time.monotonic() < due:
            await asyncio.sleep(self._pace.look)
            if await self._find() != socket:
                return False
        return True

    async def _answers(self, engine: ChatEngine | SpeechEngine, socket: Path) -> bool:
        """Probe until it succeeds; False once the engine is no longer the one.

        A ready engine that is silent too long does not serve meanwhile. It is its supervisor who ends it.
        """
        began = time.monotonic()
        while await self._find() == socket:
            try:
                async with asyncio.timeout(self._settings.engine_silence_seconds):
                    await engine.probe()
                return True
            except (EngineFailed, TimeoutError):
                if self.serving and time.monotonic() - began >= self._settings.engine_silence_seconds:
                    self._enter("starting")
                await asyncio.sleep(self._pace.retry)
        return False

    async def _find(self) -> Path | None:
        return await asyncio.to_thread(self._runtime.find, self._deployment.snapshot)

    def _enter(self, state: State, serving: Serving | None = None) -> None:
        self._state = state
        self._since = time.time()
        changed = self.serving is not serving
        self.serving = serving
        if changed:
            self._changed()

"""An engine that another process of this machine supervises: found by its link, used, never ended.

    starting -> ready -> starting ...        any -> stopped

The link is the truth about which process is the engine: its supervisor removes it when that has ended, and
lets it lead to the next one. Whether that one would serve a request is found out here, by probes of its own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from pathlib import Path
from typing import NoReturn

from antiphon.engines.base import Engine
from antiphon.errors import EngineFailed
from antiphon.pools.member import UNUSABLE, Member, explain, log

_LEFT_OUT = "The engine runs without this model: the log of its supervisor tells why."


class AttachedReplica(Member):
    """Follows an engine that another process supervises; which one that is, no status of this one tells."""

    async def _attend(self) -> NoReturn:
        self._enter("starting")
        while True:
            socket = await self._find()
            served = await asyncio.to_thread(self._runtime.served, socket) if socket else frozenset()
            if socket is not None and served:
                try:
                    await self._follow(socket, served)
                except Exception as problem:
                    self._error = str(explain(problem, self._unit.name))
                    await asyncio.sleep(self._pace.backoff)
                self._restarts += 1
            await asyncio.sleep(self._pace.look)

    async def _follow(self, socket: Path, served: frozenset[str]) -> None:
        """Use the engine at `socket`, which serves these snapshots, for as long as it is the one."""
        snapshots = [deployment.snapshot for deployment in self._unit.deployments]
        left_out = {s: _LEFT_OUT for s in snapshots if s not in served}
        engine = self._kind.connect(self._without(left_out), self._settings, socket)
        try:
            while (unusable := await self._answers(engine, socket)) is not None:
                if self._state != "ready":
                    serves = self._without(left_out | dict.fromkeys(unusable, UNUSABLE))
                    self._enter("ready", engine, serves)
                    log.info("attached to the engine of %s", self._unit.name)
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

    async def _answers(self, engine: Engine, socket: Path) -> Collection[str] | None:
        """Probe until it succeeds, and return what the probe does; None once the engine is not the one.

        A ready engine that is silent too long does not serve meanwhile. It is its supervisor who ends it.
        """
        began = time.monotonic()
        while await self._find() == socket:
            try:
                async with asyncio.timeout(self._settings.engine_silence_seconds):
                    return await engine.probe()
            except (EngineFailed, TimeoutError):
                silent = time.monotonic() - began >= self._settings.engine_silence_seconds
                if silent and self._state == "ready":
                    self._enter("starting")
                await asyncio.sleep(self._pace.retry)
        return None

    async def _find(self) -> Path | None:
        return await asyncio.to_thread(self._runtime.find, self._unit.name)

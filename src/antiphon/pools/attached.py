"""An engine that another process of this machine runs: used as that process tells, never started or ended.

starting -> ready -> starting ...        any -> stopped
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import NoReturn

from antiphon.engines.base import Engine, EngineKind
from antiphon.errors import EngineFailed
from antiphon.pools.member import UNUSABLE, Member, explain, log
from antiphon.pools.plan import Unit
from antiphon.pools.policy import Pace
from antiphon.pools.reports import Report, Told
from antiphon.settings import Settings

_LEFT_OUT = "The engine runs without this model: the log of its supervisor tells why."


class AttachedReplica(Member):
    """Follows an engine that another process runs; which one that is, no status of this one tells."""

    def __init__(
        self,
        unit: Unit,
        kind: EngineKind,
        changed: Callable[[], None],
        *,
        settings: Settings,
        told: Told,
        pace: Pace,
    ) -> None:
        super().__init__(unit, kind, changed, settings=settings, pace=pace)
        self._told = told
        self._key = unit.key

    async def _attend(self) -> NoReturn:
        self._enter("starting")
        while True:
            report = self._told.of(self._key)
            if report is None:
                await self._told.change()
                continue
            try:
                await self._follow(report)
            except Exception as problem:
                self._error = str(explain(problem, self._unit.process))
                await asyncio.sleep(self._pace.backoff)
            self._restarts += 1

    async def _follow(self, report: Report) -> None:
        """Use an engine for as long as it is the one."""
        snapshots = [deployment.snapshot for deployment in self._unit.deployments]
        left_out = {s: _LEFT_OUT for s in snapshots if s not in report.serves}
        engine = self._kind.connect(self._without(left_out), self._settings, report.address)
        try:
            unusable = await self._answers(engine, report)
            if unusable is not None:
                self._enter("ready", engine, self._without(left_out | dict.fromkeys(unusable, UNUSABLE)))
                log.info("attached to the engine of %s", self._unit.process)
                while self._is(report):
                    await self._told.change()
            self._error = "The engine ended."
        finally:
            self._enter("starting")
            await engine.close()

    async def _answers(self, engine: Engine, report: Report) -> Collection[str] | None:
        """Probe until it succeeds, and return what the probe does; None once the engine is not the one."""
        while self._is(report):
            try:
                async with asyncio.timeout(self._settings.engine_silence_seconds):
                    return await engine.probe()
            except (EngineFailed, TimeoutError):
                await asyncio.sleep(self._pace.retry)
        return None

    def _is(self, report: Report) -> bool:
        """Whether the engine is still the one that was reported."""
        now = self._told.of(self._key)
        if now is None or (now.address, now.serves) != (report.address, report.serves):
            return False
        self.retiring, self.renewed = now.retiring, now.renewed
        self.leave(now.leaving)
        return True


class Wish:
    """The keeper of an engine of another process: it is told to that process that somebody asks."""

    def __init__(self, member: Member, told: Told, key: str) -> None:
        self._member = member
        self._told = told
        self._key = key
        self._started = False

    def require(self, always: bool) -> None:
        """What runs all the time is the other process's to know; this one follows it in any case."""
        if not self._started:
            self._started = True
            self._member.start()

    def wake(self) -> None:
        self._told.wake(self._key)

    async def stop(self, grace: float) -> None:
        await self._member.stop(grace)

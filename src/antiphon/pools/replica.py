"""One engine process under supervision.

    starting -> ready -> crashed | ejected -> backoff -> starting ...        any -> stopping -> stopped

`crashed`: the process ended, or never became ready; `ejected`: it fell silent, and was killed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from typing import Any, NoReturn, TypeVar

from msgspec.structs import replace

from antiphon.engines.base import Engine, EngineKind
from antiphon.errors import EngineFailed, EngineLost
from antiphon.pools.growth import allowed, too_much
from antiphon.pools.member import UNUSABLE, Ended, Member, explain, log
from antiphon.pools.plan import Unit
from antiphon.pools.policy import Pace, after_failure
from antiphon.pools.reports import Report
from antiphon.runtime import isolation
from antiphon.runtime.base import Process, Runtime
from antiphon.settings import Settings
from antiphon.values import Deployment

Verify = Callable[[Deployment], Awaitable[None]]
"""Returns when a deployment's model is what it should be; raises an `AntiphonError` if not."""

T = TypeVar("T")

_REFUSED = 3
"""Probes in a row without an answer, after which a server that others run is taken for gone. Of a process of
ours it is known when it ends."""


class Replica(Member):
    """Keeps one process running from `start` to `stop`.

    Models that fail their verification, or that the process says it cannot use, are left out: it serves the
    others, and they are tried again when it next starts. Without any other it does not start.
    """

    def __init__(
        self,
        unit: Unit,
        kind: EngineKind,
        changed: Callable[[], None],
        *,
        settings: Settings,
        runtime: Runtime,
        verify: Verify,
        pace: Pace,
    ) -> None:
        super().__init__(unit, kind, changed, settings=settings, pace=pace)
        self._runtime = runtime
        self._verify = verify
        self._process: Process | None = None
        self._engine: Engine | None = None
        self._began_at = 0.0
        self._ready_at: float | None = None
        self._most: int | None = None
        """Bytes that its engine may hold with nothing to do, if there is a bound."""

    def report(self) -> Report | None:
        if self._process is None or not self._serving:
            return None
        serves = frozenset(self._serving)
        return Report(self._process.address, serves, self.retiring, self._leaving, self.renewed)

    async def outgrown(self) -> str:
        """In a few words why its engine, if it has nothing to do, is to be started anew; nothing if not.

        One that takes long to become ready goes on: who asks meanwhile would wait in vain.
        """
        process, ready_at = self._process, self._ready_at
        if process is None or ready_at is None or time.monotonic() - ready_at < self._pace.rest:
            return ""
        if ready_at - self._began_at > self._settings.queue_seconds / 2:
            return ""
        found = await too_much(process, self._most)
        return found and f"the engine of {self._unit.process} {found}"

    async def _attend(self) -> NoReturn:
        while True:
            ready_seconds = await self._live()
            self.failures, delay = after_failure(self.failures, ready_seconds, self._pace)
            log.warning(
                "the engine of %s ended: %s Starting anew in %.1f s.",
                self._unit.process,
                self._error,
                delay,
            )
            self._enter("backoff")
            await asyncio.sleep(delay)
            self._restarts += 1

    async def _live(self) -> float | None:
        """One life, from its start to its end; how many seconds it was ready, if it ever was."""
        self._enter("starting")
        self._began_at, self._ready_at, self._most = time.monotonic(), None, None
        try:
            await self._run()
        except asyncio.CancelledError:
            self._enter("stopping")
            raise
        except Exception as problem:
            ended = explain(problem, self._unit.process)
            ready_seconds = None if self._ready_at is None else time.monotonic() - self._ready_at
            self._error = str(ended)
            self._enter(ended.state)
            return ready_seconds
        finally:
            await _to_its_end(self._clean_up())

    async def _run(self) -> NoReturn:
        deployments = await self._verified()
        process = self._process = await self._launch(deployments)
        self._pid = process.pid
        engine = self._engine = self._kind.connect(deployments, self._settings, process.address)
        unusable = await _while_running(process, self._become_ready(engine))
        if unusable:
            log.warning(
                "the engine of %s goes on without %s", self._unit.process, ", ".join(sorted(unusable))
            )
            deployments = self._without(self._left_out | dict.fromkeys(unusable, UNUSABLE))
        self._most = await allowed(process, deployments, self._settings.engine_idle_memory)
        self._ready_at = time.monotonic()
        self._enter("ready", engine, deployments)
        log.info("the engine of %s is ready (process %s)", self._unit.process, process.pid)
        await _while_running(process, self._keep_probing(engine))

    async def _verified(self) -> Sequence[Deployment]:
        """The deployments whose models are what they should be. Raises `Ended` if there is none."""
        failed: dict[str, Ended] = {}
        for deployment in self._unit.deployments:
            try:
                await self._verify(deployment)
            except Exception as problem:
                failed[deployment.snapshot] = explain(problem, deployment.snapshot)
        deployments = self._without({snapshot: str(ended) for snapshot, ended in failed.items()})
        if not deployments:
            raise next(iter(failed.values()))
        for snapshot, ended in failed.items():
            log.warning("the engine of %s starts without %s: %s", self._unit.process, snapshot, ended)
        return deployments

    async def _clean_up(self) -> None:
        if self._process is not None:
            await self._process.stop(self._grace)
            self._process = self._pid = None
        if self._engine is not None:
            await self._engine.close()
            self._engine = None

    async def _launch(self, deployments: Sequence[Deployment]) -> Process:
        needs, settings = self._unit.needs, self._settings
        if reserved := needs.cpus // 1000:
            # As many threads as it has processors, however many there are on this machine or another.
            settings = replace(settings, threads=reserved)
        try:
            return await self._runtime.start(
                self._unit.process,
                lambda address: isolation.apart(
                    self._kind.command(deployments, settings, address), address, self._kind.apart, settings
                ),
                needs,
            )
        except OSError as problem:
            text = f"The engine process could not be started ({problem.strerror})."
            raise Ended("crashed", text) from None

    async def _become_ready(self, engine: Engine) -> Collection[str]:
        """The snapshots that the ready engine does not serve."""
        seconds = self._settings.engine_start_seconds
        try:
            async with asyncio.timeout(seconds):
                return await self._answer(engine)
        except TimeoutError:
            raise Ended("crashed", f"The engine did not become ready within {seconds:g} s.") from None

    async def _keep_probing(self, engine: Engine) -> NoReturn:
        seconds = self._settings.engine_silence_seconds
        while True:
            await asyncio.sleep(self._pace.probe)
            try:
                async with asyncio.timeout(seconds):
                    await self._answer(engine, _REFUSED if self._pace.far else None)
            except TimeoutError:
                raise Ended("ejected", f"The engine did not answer for {seconds:g} s.") from None

    async def _answer(self, engine: Engine, refused: int | None = None) -> Collection[str]:
        """Return what a probe does when one succeeds. The deadline is the caller's.

        Raises `Ended` once so many have been `refused`; then any answer will do.
        """
        # One of ours may be long with its first answer; what is lost on the way to others never comes.
        patience = self._settings.engine_silence_seconds if self._pace.far else None
        failures = 0
        while True:
            try:
                async with asyncio.timeout(patience):
                    return await engine.probe()
            except (EngineFailed, TimeoutError) as problem:
                if refused and isinstance(problem, EngineFailed) and not isinstance(problem, EngineLost):
                    # Too many questions, or a bad moment: whoever says so is there, and requests that run
                    # there are not to be cut off for it. New ones find out for themselves.
                    return ()
                failures += 1
                if failures == refused:
                    raise Ended("crashed", "The engine cannot be reached.") from None
                await asyncio.sleep(self._pace.retry)


async def _while_running(process: Process, work: Coroutine[Any, Any, T]) -> T:
    """Do `work`; raises as soon as the process ends."""
    working = asyncio.create_task(work)
    exited = asyncio.create_task(process.wait())
    try:
        await asyncio.wait({working, exited}, return_when=asyncio.FIRST_COMPLETED)
        if exited.done():
            raise Ended("crashed", f"The engine process ended {_exit_text(exited.result())}.")
        return working.result()
    finally:
        working.cancel()
        exited.cancel()
        await asyncio.gather(working, exited, return_exceptions=True)


async def _to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """Do `work` wholly, even when cancelled meanwhile: the cancellation follows."""
    working = asyncio.create_task(work)
    try:
        await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.wait({working})
        raise


def _exit_text(code: int) -> str:
    return f"by signal {-code}" if code < 0 else f"with exit code {code}"

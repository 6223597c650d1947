"""One engine process under supervision.

    starting -> ready -> crashed | ejected -> backoff -> starting ...        any -> stopping -> stopped

`crashed`: the process ended, or never became ready; `ejected`: it fell silent, and was killed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, TypeVar

import msgspec

from antiphon.engines.base import ChatEngine, EngineKind, SpeechEngine
from antiphon.errors import AntiphonError, EngineFailed
from antiphon.pools.policy import Pace, after_failure
from antiphon.runtime.local import LocalRuntime, Process
from antiphon.settings import Settings
from antiphon.values import Deployment

State = Literal["starting", "ready", "crashed", "ejected", "backoff", "stopping", "stopped"]
Verify = Callable[[Deployment], Awaitable[None]]
"""Returns when a deployment's model is what it should be; raises an `AntiphonError` if not."""

T = TypeVar("T")

log = logging.getLogger("antiphon.pools")


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """A replica as `/readyz` and the doctor show it. `error` is a fixed text about its last failure."""

    state: State
    since: float
    """When it entered the state, in Unix seconds."""
    pid: int | None
    restarts: int
    busy: int
    """Requests that hold a lease."""
    error: str | None


@dataclass
class Serving:
    """A ready engine, and how many requests hold it: what a lease gives."""

    engine: ChatEngine | SpeechEngine
    busy: int = 0


class _Ended(Exception):
    """Why one life of a replica is over."""

    def __init__(self, state: Literal["crashed", "ejected"], text: str) -> None:
        super().__init__(text)
        self.state: Literal["crashed", "ejected"] = state


class Replica:
    """Keeps one process of a deployment running from `start` to `stop`."""

    def __init__(
        self,
        deployment: Deployment,
        kind: EngineKind,
        changed: Callable[[], None],
        *,
        settings: Settings,
        runtime: LocalRuntime,
        verify: Verify,
        pace: Pace,
    ) -> None:
        self._deployment = deployment
        self._kind = kind
        self._settings = settings
        self._runtime = runtime
        self._verify = verify
        self._changed = changed
        """Called when `serving` changes."""
        self._pace = pace
        self.serving: Serving | None = None
        """Set while it is ready."""
        self._state: State = "stopped"
        self._since = time.time()
        self._process: Process | None = None
        self._engine: ChatEngine | SpeechEngine | None = None
        self._ready_at: float | None = None
        self._restarts = 0
        self._error: str | None = None
        self._grace = 0.0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; it becomes ready later. Needs a running event loop."""
        self._task = asyncio.create_task(self._supervise(), name=f"replica-{self._deployment.snapshot}")

    async def stop(self, grace: float) -> None:
        """End the process, by SIGTERM and `grace` seconds later by SIGKILL; nothing goes on afterwards."""
        if self._task is None:
            return
        self._grace = grace
        self._task.cancel()
        await asyncio.wait({self._task})
        self._task = None
        self._enter("stopped")

    def status(self) -> Status:
        return Status(
            state=self._state,
            since=self._since,
            pid=self._process.pid if self._process else None,
            restarts=self._restarts,
            busy=self.serving.busy if self.serving else 0,
            error=self._error,
        )

    async def _supervise(self) -> None:
        failures = 0
        while True:
            ready_seconds = await self._live()
            failures, delay = after_failure(failures, ready_seconds, self._pace)
            log.warning(
                "the engine of %s ended: %s Starting anew in %.1f s.",
                self._deployment.snapshot,
                self._error,
                delay,
            )
            self._enter("backoff")
            await asyncio.sleep(delay)
            self._restarts += 1

    async def _live(self) -> float | None:
        """One life, from its start to its end; how many seconds it was ready, if it ever was."""
        self._enter("starting")
        self._ready_at = None
        try:
            await self._run()
        except asyncio.CancelledError:
            self._enter("stopping")
            raise
        except Exception as problem:
            ended = explain(problem, self._deployment.snapshot)
            ready_seconds = None if self._ready_at is None else time.monotonic() - self._ready_at
            self._error = str(ended)
            self._enter(ended.state)
            return ready_seconds
        finally:
            await _to_its_end(self._clean_up())

    async def _run(self) -> NoReturn:
        await self._verify(self._deployment)
        process = self._process = await self._launch()
        engine = self._engine = self._kind.connect(self._deployment, self._settings, process.socket)
        await _while_running(process, self._become_ready(engine))
        self._ready_at = time.monotonic()
        self._enter("ready", Serving(engine))
        log.info("the engine of %s is ready (process %d)", self._deployment.snapshot, process.pid)
        await _while_running(process, self._keep_probing(engine))

    async def _clean_up(self) -> None:
        if self._process is not None:
            await self._process.stop(self._grace)
            self._process = None
        if self._engine is not None:
            await self._engine.close()
            self._engine = None

    async def _launch(self) -> Process:
        try:
            return await self._runtime.start(
                self._deployment.snapshot,
                lambda socket: self._kind.command(self._deployment, self._settings, socket),
            )
        except OSError as problem:
            text = f"The engine process could not be started ({problem.strerror})."
            raise _Ended("crashed", text) from None

    async def _become_ready(self, engine: ChatEngine | SpeechEngine) -> None:
        seconds = self._settings.engine_start_seconds
        try:
            async with asyncio.timeout(seconds):
                await self._answer(engine)
        except TimeoutError:
            raise _Ended("crashed", f"The engine did not become ready within {seconds:g} s.") from None

    async def _keep_probing(self, engine: ChatEngine | SpeechEngine) -> NoReturn:
        seconds = self._settings.engine_silence_seconds
        while True:
            await asyncio.sleep(self._pace.probe)
            try:
                async with asyncio.timeout(seconds):
                    await self._answer(engine)
            except TimeoutError:
                raise _Ended("ejected", f"The engine did not answer for {seconds:g} s.") from None

    async def _answer(self, engine: ChatEngine | SpeechEngine) -> None:
        """Return when a probe succeeds. The deadline is the caller's."""
        while True:
            try:
                return await engine.probe()
            except EngineFailed:
                await asyncio.sleep(self._pace.retry)

    def _enter(self, state: State, serving: Serving | None = None) -> None:
        self._state = state
        self._since = time.time()
        changed = self.serving is not serving
        self.serving = serving
        if changed:
            self._changed()


async def _while_running(process: Process, work: Coroutine[Any, Any, T]) -> T:
    """Do `work`; raises as soon as the process ends."""
    working = asyncio.create_task(work)
    exited = asyncio.create_task(process.wait())
    try:
        await asyncio.wait({working, exited}, return_when=asyncio.FIRST_COMPLETED)
        if exited.done():
            raise _Ended("crashed", f"The engine process ended {_exit_text(exited.result())}.")
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


def explain(problem: Exception, snapshot: str) -> _Ended:
    """A fixed text for the status; what nobody foresaw goes to the log in full."""
    if isinstance(problem, _Ended):
        return problem
    if isinstance(problem, AntiphonError):
        return _Ended("crashed", problem.message)
    log.error("supervising the engine of %s failed", snapshot, exc_info=problem)
    return _Ended("crashed", f"The engine could not be used ({type(problem).__name__}).")

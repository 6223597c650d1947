"""What a pool asks of an engine process, and what `Replica` and `AttachedReplica` have in common."""

from __future__ import annotations

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import msgspec

from antiphon.breaker import Breaker
from antiphon.engines.base import Engine, EngineKind
from antiphon.errors import AntiphonError
from antiphon.pools.fingerprint import fingerprint
from antiphon.pools.plan import Unit
from antiphon.pools.policy import Pace
from antiphon.pools.reports import Report
from antiphon.settings import Settings
from antiphon.values import Deployment

State = Literal["starting", "ready", "crashed", "ejected", "backoff", "stopping", "stopped"]

UNUSABLE = "The engine cannot use this model: its log tells why."

log = logging.getLogger("antiphon.pools")


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """A replica as `/readyz` and the doctor show it. `error` is a fixed text about its last failure."""

    state: State
    since: float
    """When it entered the state, in Unix seconds."""
    pid: int | None
    restarts: int
    renewed: int
    """Times that it was started anew since it held too much with nothing to do: no failures."""
    busy: int
    """Requests that hold a lease."""
    error: str | None


@dataclass
class Serving:
    """A ready engine, for one deployment, and how many requests for that hold it."""

    engine: Engine
    deployment: Deployment
    slots: int
    """Requests that this process may give it."""
    busy: int = 0
    breaker: Breaker = field(default_factory=Breaker)

    @cached_property
    def fingerprint(self) -> str:
        """Another one as soon as anything is another that may change answers."""
        return fingerprint(self.deployment)


class Ended(Exception):
    """Why one life of an engine is over."""

    def __init__(self, state: Literal["crashed", "ejected"], text: str) -> None:
        super().__init__(text)
        self.state: Literal["crashed", "ejected"] = state


class Member(ABC):
    """Attends to one engine process from `start` to `stop`."""

    def __init__(
        self,
        unit: Unit,
        kind: EngineKind,
        changed: Callable[[], None],
        *,
        settings: Settings,
        pace: Pace,
    ) -> None:
        self._unit = unit
        self._kind = kind
        self._changed = changed
        """Called when `serving` changes."""
        self._settings = settings
        self._pace = pace
        self._state: State = "stopped"
        self._since = time.time()
        self._pid: int | None = None
        self._restarts = 0
        self.renewed = 0
        """Times that it was started anew in good order."""
        self.failures = 0
        """Ends one after another, but for those after a good while of service."""
        self._error: str | None = None
        self._left_out: dict[str, str] = {}
        """The snapshots that the process goes on without, and why."""
        self._serving: dict[str, Serving] = {}
        self.retiring = False
        """Whether others are to be given new requests, if there are any."""
        self._leaving = False
        self._grace = 0.0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; it becomes ready later. Needs a running event loop."""
        self._leaving = False
        name = f"{type(self).__name__.lower()}-{self._unit.process}"
        self._task = asyncio.create_task(self._attend(), name=name)

    async def stop(self, grace: float) -> None:
        """Let go of the engine; one of its own is ended, `grace` seconds after it was asked to at the latest.

        Nothing goes on afterwards.
        """
        if self._task is None:
            return
        self._grace = grace
        self._task.cancel()
        await asyncio.wait({self._task})
        self._task = None
        self._enter("stopped")

    def leave(self, leaving: bool) -> None:
        """Give its engine no new requests, or give it some again; those that it has go on."""
        if leaving != self._leaving:
            self._leaving = leaving
            self._changed()

    def serving(self, snapshot: str) -> Serving | None:
        """The engine, while it is ready to serve new requests for the snapshot."""
        return None if self._leaving else self._serving.get(snapshot)

    def last(self, snapshot: str) -> Serving | None:
        """The same also of one that is leaving: for a request that was let in before that was known."""
        return self._serving.get(snapshot)

    @property
    def ready(self) -> bool:
        """Whether its engine serves."""
        return bool(self._serving)

    def report(self) -> Report | None:
        """What others, who are to use its engine, have to know; None while it is not ready."""
        return None

    @property
    def busy(self) -> int:
        """Requests that hold its engine."""
        return sum(serving.busy for serving in self._serving.values())

    def status(self, snapshot: str) -> Status:
        """How it stands with one snapshot: one that is left out has crashed, whatever the others do."""
        serving = self._serving.get(snapshot)
        reason = self._left_out.get(snapshot)
        left_out = reason is not None and self._state in ("starting", "ready")
        return Status(
            state="crashed" if left_out else self._state,
            since=self._since,
            pid=None if left_out else self._pid,
            restarts=self._restarts,
            renewed=self.renewed,
            busy=serving.busy if serving else 0,
            error=reason or self._error,
        )

    @abstractmethod
    async def _attend(self) -> None:
        """Everything from `start` to `stop`, which cancels it."""

    def _without(self, left_out: dict[str, str]) -> Sequence[Deployment]:
        """Note which snapshots are left out, and why; the deployments that remain."""
        self._left_out = left_out
        return [d for d in self._unit.deployments if d.snapshot not in left_out]

    def _enter(
        self,
        state: State,
        engine: Engine | None = None,
        serves: Collection[Deployment] = (),
    ) -> None:
        self._state = state
        self._since = time.time()
        before, self._serving = self._serving, {}
        if engine is not None:
            self._serving = {d.snapshot: Serving(engine, d, self._unit.slots(d)) for d in serves}
        if before or self._serving:
            self._changed()


def explain(problem: Exception, name: str) -> Ended:
    """A fixed text for the status of what is called `name`; what nobody foresaw goes to the log in full."""
    if isinstance(problem, Ended):
        return problem
    if isinstance(problem, AntiphonError):
        return Ended("crashed", problem.message)
    log.error("supervising the engine of %s failed", name, exc_info=problem)
    return Ended("crashed", f"The engine could not be used ({type(problem).__name__}).")

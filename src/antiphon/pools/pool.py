"""Pools: the engine processes of each deployment, and leases on them."""

from __future__ import annotations

import asyncio
import hashlib
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from antiphon import __version__
from antiphon.engines.base import EngineKind
from antiphon.errors import ConfigurationError, Unavailable
from antiphon.pools.demand import Demand
from antiphon.pools.member import Member, Serving, Status, Unit
from antiphon.pools.policy import least_busy
from antiphon.values import Deployment, Feature

_RETRY_AFTER = 2.0
"""Seconds that a client is told to wait: a crashed engine is usually back by then."""

_BROKEN = 3
"""Ends of an engine, one after another, from which on it is not counted on."""

Make = Callable[[Unit, EngineKind, Callable[[], None]], Member]
"""Makes a replica; it calls the function whenever what it serves changes."""


class Pool:
    """The engines of one deployment; one, for now. Those of a shared kind serve other pools as well."""

    def __init__(self, deployment: Deployment, kind: EngineKind) -> None:
        self.deployment = deployment
        self.kind = kind
        self.members: list[Member] = []
        """Started and stopped by whoever made them."""
        self.demand: Demand | None = None
        """What starts and stops them instead, if they run on demand."""
        told = f"{deployment.digest} {deployment.slots} {__version__} {_processor()}"
        self.fingerprint = f"fp_{hashlib.sha256(told.encode()).hexdigest()[:10]}"
        """Another one as soon as anything is another that may change answers."""
        self.on_change: list[Callable[[], None]] = []
        """Called, in the event loop, after `capacity` may have changed."""

    @property
    def busy(self) -> int:
        """Requests that hold an engine."""
        return sum(serving.busy for serving in self._serving())

    def wake(self) -> None:
        """Somebody is about to ask: what runs on demand shall run."""
        if self.demand is not None:
            self.demand.wake()

    @property
    def capacity(self) -> int:
        """Requests that can be served at once now: the slots of every ready replica."""
        return self.deployment.slots * len(self._serving())

    def places(self, tokens: int) -> int:
        """How many of the slots a request takes that may have so many tokens, prompt and answer together.

        Where all share one cache, a slot is an equal part of it.
        """
        cache = self.kind.cache(self.deployment)
        needed = min(tokens, self.deployment.context)
        return min(self.deployment.slots, -(-needed * self.deployment.slots // cache)) if cache else 1

    @property
    def ready(self) -> bool:
        """Whether a request would be served now."""
        return self.capacity > 0

    @property
    def broken(self) -> bool:
        """Whether its engines end again and again, so that another one is better asked."""
        return not self.ready and all(member.failures >= _BROKEN for member in self.members)

    @contextmanager
    def acquire(self) -> Iterator[Serving]:
        """Hold an engine (`.engine`) for one request. Raises `Unavailable` when no replica is ready.

        It bounds nothing: who may come in is admission's business, by `capacity`. If the engine dies
        meanwhile, its client raises `EngineFailed`.
        """
        serving = self._serving()
        chosen = least_busy([(s.busy, self.deployment.slots) for s in serving])
        if chosen is None:
            raise Unavailable("The model is not ready. Please try again shortly.", retry_after=_RETRY_AFTER)
        held = serving[chosen]
        held.busy += 1
        try:
            yield held
        finally:
            held.busy -= 1

    def status(self) -> list[Status]:
        return [member.status(self.deployment.snapshot) for member in self.members]

    def changed(self) -> None:
        """Tell everybody who asked to be told."""
        for callback in self.on_change:
            callback()

    def _serving(self) -> list[Serving]:
        found = (member.serving(self.deployment.snapshot) for member in self.members)
        return [serving for serving in found if serving]


class Pools:
    """Every pool; a snapshot that several engines serve has one for each, the preferred first.

    The engines of alternatives start when they are first asked for, and end once nobody has for `idle`
    seconds; without `idle`, all run all the time. Raises `ConfigurationError` for a deployment whose engine
    is not among `kinds`, and for one that has the name of a shared engine.
    """

    def __init__(
        self,
        deployments: Iterable[Deployment],
        kinds: Mapping[str, EngineKind],
        make: Make,
        idle: float | None = None,
    ) -> None:
        self._pools: dict[str, list[Pool]] = {}
        self._idle = idle
        self._members: list[Member] = []
        """Those that run all the time."""
        self._demands: list[Demand] = []
        for unit, kind in _units(deployments, kinds):
            self._add(unit, kind, make)

    def _add(self, unit: Unit, kind: EngineKind, make: Make) -> None:
        """A unit's replica, with a pool for each of its deployments."""
        pools = [Pool(deployment, kind) for deployment in unit.deployments]

        def changed() -> None:
            for pool in pools:
                pool.changed()

        member = make(unit, kind, changed)
        for pool in pools:
            pool.members.append(member)
            self._pools.setdefault(pool.deployment.snapshot, []).append(pool)
        if pools[0].deployment.alternative and self._idle is not None:
            demand = Demand(member, lambda: sum(pool.busy for pool in pools), self._idle)
            self._demands.append(demand)
            for pool in pools:
                pool.demand = demand
        else:
            self._members.append(member)

    def start(self) -> None:
        """Start every replica but those on demand; returns at once. Needs a running event loop."""
        for member in self._members:
            member.start()

    async def stop(self, grace: float) -> None:
        """End every replica; running requests are expected to be over. No task or process is left."""
        members = [member.stop(grace) for member in self._members]
        await asyncio.gather(*members, *(demand.stop(grace) for demand in self._demands))

    def __iter__(self) -> Iterator[Pool]:
        for pools in self._pools.values():
            yield from pools

    def get(
        self, snapshot: str, needs: Set[Feature] = frozenset(), wishes: Set[Feature] = frozenset()
    ) -> Pool:
        """The pool that serves a snapshot to a request with these needs: the preferred one that can.

        One that can do what the request wishes, too, goes before one that cannot; one whose engines end again
        and again is passed over where another can do it.

        Raises `Unavailable` when the snapshot is not served, and `Incapable` when no engine of it can do all.
        """
        pools = self._pools.get(snapshot)
        if pools is None:
            raise Unavailable("The model is not being served.", retry_after=_RETRY_AFTER)
        able = [pool for pool in pools if needs <= pool.kind.features]
        if not able:
            raise Incapable(min(needs - pools[0].kind.features))
        return _sound([pool for pool in able if wishes <= pool.kind.features] or able)

    @property
    def ready(self) -> bool:
        """Whether every snapshot would serve a request now; those on demand need not."""
        first = [_sound(pools) for pools in self._pools.values()]
        return all(pool.ready for pool in first if pool.demand is None)

    def status(self) -> dict[str, list[Status]]:
        """The replicas of each deployment, by its name."""
        return {pool.deployment.name: pool.status() for pool in self}


@cache
def _processor() -> str:
    """What it can do: libraries choose their arithmetic by that."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return f"{platform.machine()} {flags}"


class Incapable(Exception):
    """No engine of a snapshot can do all that a request needs; the first has not this `feature`."""

    def __init__(self, feature: Feature) -> None:
        super().__init__(feature)
        self.feature: Feature = feature


def _sound(pools: Sequence[Pool]) -> Pool:
    """The first that is not broken; if all are, the first."""
    return next((pool for pool in pools if not pool.broken), pools[0])


def _units(
    deployments: Iterable[Deployment], kinds: Mapping[str, EngineKind]
) -> list[tuple[Unit, EngineKind]]:
    """What each process serves: the deployments of a shared kind together, every other one alone."""
    units: dict[str, tuple[Unit, EngineKind]] = {}
    for deployment in deployments:
        kind = _kind(deployment, kinds)
        name = kind.name if kind.shared else deployment.name
        before, other = units.get(name, (Unit(name, ()), kind))
        if other is not kind:
            raise ConfigurationError(
                f"The model '{name}' has the name of an engine", fix="in models.toml, give it another id"
            )
        units[name] = (Unit(name, (*before.deployments, deployment)), kind)
    return list(units.values())


def _kind(deployment: Deployment, kinds: Mapping[str, EngineKind]) -> EngineKind:
    try:
        return kinds[deployment.engine]
    except KeyError:
        raise ConfigurationError(
            f"The model '{deployment.snapshot}' asks for an unknown engine '{deployment.engine}'",
            fix=f"in models.toml, use one of: {', '.join(sorted(kinds))}",
        ) from None

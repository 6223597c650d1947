"""Pools: the engine processes of each deployment, and leases on them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

from antiphon.engines.base import EngineKind
from antiphon.errors import ConfigurationError, Unavailable
from antiphon.pools.member import Member, Serving, Status, Unit
from antiphon.pools.policy import least_busy
from antiphon.values import Deployment

_RETRY_AFTER = 2.0
"""Seconds that a client is told to wait: a crashed engine is usually back by then."""

Make = Callable[[Unit, EngineKind, Callable[[], None]], Member]
"""Makes a replica; it calls the function whenever what it serves changes."""


class Pool:
    """The engines of one deployment; one, for now. Those of a shared kind serve other pools as well."""

    def __init__(self, deployment: Deployment, kind: EngineKind) -> None:
        self.deployment = deployment
        self.kind = kind
        self.members: list[Member] = []
        """Started and stopped by whoever made them."""
        self.on_change: list[Callable[[], None]] = []
        """Called, in the event loop, after `capacity` may have changed."""

    @property
    def capacity(self) -> int:
        """Requests that can be served at once now: the slots of every ready replica."""
        return self.deployment.slots * len(self._serving())

    @property
    def ready(self) -> bool:
        """Whether a request would be served now."""
        return self.capacity > 0

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
    """Every pool, by the id of its snapshot.

    Raises `ConfigurationError` for a deployment whose engine is not among `kinds`, and for one that has the
    name of a shared engine.
    """

    def __init__(
        self, deployments: Iterable[Deployment], kinds: Mapping[str, EngineKind], make: Make
    ) -> None:
        self._pools: dict[str, Pool] = {}
        self._members = [self._member(unit, kind, make) for unit, kind in _units(deployments, kinds)]

    def _member(self, unit: Unit, kind: EngineKind, make: Make) -> Member:
        """A unit's replica, with a pool for each of its deployments."""
        pools = [Pool(deployment, kind) for deployment in unit.deployments]

        def changed() -> None:
            for pool in pools:
                pool.changed()

        member = make(unit, kind, changed)
        for pool in pools:
            pool.members.append(member)
            self._pools[pool.deployment.snapshot] = pool
        return member

    def start(self) -> None:
        """Start every replica; returns at once. Needs a running event loop."""
        for member in self._members:
            member.start()

    async def stop(self, grace: float) -> None:
        """End every replica; running requests are expected to be over. No task or process is left."""
        await asyncio.gather(*(member.stop(grace) for member in self._members))

    def get(self, snapshot: str) -> Pool:
        """The pool that serves a snapshot. Raises `Unavailable` when none does."""
        pool = self._pools.get(snapshot)
        if pool is None:
            raise Unavailable("The model is not being served.", retry_after=_RETRY_AFTER)
        return pool

    @property
    def ready(self) -> bool:
        """Whether every snapshot would serve a request now."""
        return all(pool.ready for pool in self._pools.values())

    def status(self) -> dict[str, list[Status]]:
        """The replicas of each snapshot."""
        return {snapshot: pool.status() for snapshot, pool in self._pools.items()}


def _units(
    deployments: Iterable[Deployment], kinds: Mapping[str, EngineKind]
) -> list[tuple[Unit, EngineKind]]:
    """What each process serves: the deployments of a shared kind together, every other one alone."""
    units: dict[str, tuple[Unit, EngineKind]] = {}
    for deployment in deployments:
        kind = _kind(deployment, kinds)
        name = kind.name if kind.shared else deployment.snapshot
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

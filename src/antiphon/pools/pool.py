"""Pools: the engine processes of each deployment, and leases on them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from antiphon.engines.base import EngineKind
from antiphon.errors import ConfigurationError, Unavailable
from antiphon.pools.policy import least_busy
from antiphon.pools.replica import Serving, Status
from antiphon.values import Deployment

_RETRY_AFTER = 2.0
"""Seconds that a client is told to wait: a crashed engine is usually back by then."""


class Member(Protocol):
    """What a pool asks of its replicas: `Replica`, or `AttachedReplica` of another process's."""

    serving: Serving | None

    def start(self) -> None: ...
    async def stop(self, grace: float) -> None: ...
    def status(self) -> Status: ...


Make = Callable[[Deployment, EngineKind, Callable[[], None]], Member]
"""Makes a replica; it calls the function whenever its `serving` changes."""


class Pool:
    """The replicas of one deployment; one, for now."""

    def __init__(self, deployment: Deployment, kind: EngineKind, make: Make) -> None:
        self.deployment = deployment
        self.kind = kind
        self.on_change: list[Callable[[], None]] = []
        """Called, in the event loop, after `capacity` changed."""
        self._replicas = [make(deployment, kind, self._changed)]

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

    def start(self) -> None:
        for replica in self._replicas:
            replica.start()

    async def stop(self, grace: float) -> None:
        await asyncio.gather(*(replica.stop(grace) for replica in self._replicas))

    def status(self) -> list[Status]:
        return [replica.status() for replica in self._replicas]

    def _serving(self) -> list[Serving]:
        return [replica.serving for replica in self._replicas if replica.serving]

    def _changed(self) -> None:
        for callback in self.on_change:
            callback()


class Pools:
    """Every pool, by the id of its snapshot.

    Raises `ConfigurationError` for a deployment whose engine is not among `kinds`.
    """

    def __init__(
        self, deployments: Iterable[Deployment], kinds: Mapping[str, EngineKind], make: Make
    ) -> None:
        self._pools = {d.snapshot: Pool(d, _kind(d, kinds), make) for d in deployments}

    def start(self) -> None:
        """Start every replica; returns at once. Needs a running event loop."""
        for pool in self._pools.values():
            pool.start()

    async def stop(self, grace: float) -> None:
        """End every replica; running requests are expected to be over. No task or process is left."""
        await asyncio.gather(*(pool.stop(grace) for pool in self._pools.values()))

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


def _kind(deployment: Deployment, kinds: Mapping[str, EngineKind]) -> EngineKind:
    try:
        return kinds[deployment.engine]
    except KeyError:
        raise ConfigurationError(
            f"The model '{deployment.snapshot}' asks for an unknown engine '{deployment.engine}'",
            fix=f"in models.toml, use one of: {', '.join(sorted(kinds))}",
        ) from None

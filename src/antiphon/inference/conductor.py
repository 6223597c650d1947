"""What all conductors share: the services they call, and who pays."""

from __future__ import annotations

from collections.abc import Callable, Set

import msgspec

from antiphon.admission.gate import Gate
from antiphon.catalogue.listing import Names
from antiphon.errors import InstanceElsewhere, UnsupportedParameter
from antiphon.inference.metrics import Metrics
from antiphon.ledger.meter import Account, Meter
from antiphon.pools.pool import Pool
from antiphon.pools.pools import Incapable, Pools
from antiphon.settings import Settings
from antiphon.status.outcomes import PROBES
from antiphon.values import Caller, Feature, Snapshot, Task


class Way(msgspec.Struct, frozen=True):
    """Where a request goes, and the snapshot as it is billed there."""

    pool: Pool
    snapshot: Snapshot

    @property
    def limited(self) -> bool:
        """Whether the rates of its project count: an instance of one's own is limited by its load alone."""
        return not self.pool.deployment.instance

    @property
    def name(self) -> str:
        """What its requests wait for, and what their rates are counted as."""
        return self.pool.deployment.name


_CANNOT: dict[Task, str] = {
    "chat": "does not answer chat requests",
    "speech": "does not transcribe",
    "embedding": "does not make embeddings",
}


class Conductor:
    """Holds the services of a request's path, in the order in which they are called."""

    def __init__(
        self,
        settings: Settings,
        catalogue: Names,
        gate: Gate,
        pools: Pools,
        meter: Meter,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._catalogue = catalogue
        self._gate = gate
        self._pools = pools
        self._meter = meter
        self._metrics = metrics

    def _resolve(self, caller: Caller, model: str, task: Task) -> Snapshot:
        """The snapshot behind a name. Raises `ModelNotFound`, or `UnsupportedParameter` for another task."""
        snapshot = self._catalogue.resolve(model, caller.organization_id)
        if snapshot.task != task:
            raise UnsupportedParameter(
                f"The model '{model}' {_CANNOT[task]}.", param="model", code="unsupported_value"
            )
        return snapshot

    def _way(
        self,
        caller: Caller,
        snapshot: Snapshot,
        needs: Set[Feature] = frozenset(),
        wishes: Set[Feature] = frozenset(),
        weigh: Callable[[Pool], int] = lambda pool: 1,
    ) -> Way:
        """The way of a request with these needs: to an instance of the caller's own, if there is one.

        `weigh` tells how many places it takes there.

        If that has no place now, or cannot do it, and may spill over, to what everybody is served by. What
        sleeps begins to wake. Raises as `Pools.get` does, and `InstanceElsewhere`.
        """
        own = self._own(caller, snapshot, needs, weigh)
        if own is not None:
            # It is paid for by time: what it serves costs nothing more.
            return Way(own, msgspec.structs.replace(snapshot, prices=()))
        pool = self._pools.get(snapshot.id, needs, wishes)
        pool.wake()
        if caller.organization_id == PROBES:
            return Way(pool, msgspec.structs.replace(snapshot, prices=()))
        return Way(pool, snapshot)

    def _own(
        self, caller: Caller, snapshot: Snapshot, needs: Set[Feature], weigh: Callable[[Pool], int]
    ) -> Pool | None:
        """The instance of the caller's own that takes a request; None if it goes to where everybody goes."""
        pools = self._pools.dedicated(caller.organization_id, snapshot.id)
        if not pools:
            if host := self._catalogue.elsewhere(caller.organization_id, snapshot.id):
                raise InstanceElsewhere(snapshot.id, host)
            return None
        waiting = self._gate.waiting()

        def left(pool: Pool) -> int:
            name = pool.deployment.name
            return self._gate.free(name, pool.capacity) - waiting.get(name, 0)

        best = max((pool for pool in pools if needs <= pool.kind.features), key=left, default=None)
        if best is None:
            if any(pool.deployment.spill_over for pool in pools):
                return None
            raise Incapable(min(needs - pools[0].kind.features))
        full = left(best) < max(1, min(weigh(best), best.capacity)) or waiting.get(best.deployment.name)
        if full and best.deployment.spill_over:
            if self._pools.serves(snapshot.id):
                return None
            self._pools.rouse(snapshot.id)
        return best


def account(caller: Caller) -> Account:
    """Who pays for what a caller asks."""
    return Account(
        organization_id=caller.organization_id,
        project_id=caller.project_id,
        key_id=caller.key_id,
        member_id=caller.member_id,
    )

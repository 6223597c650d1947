"""What all conductors share: the services they call, and who pays."""

from __future__ import annotations

from antiphon.admission.gate import Gate
from antiphon.catalogue.listing import Names
from antiphon.errors import UnsupportedParameter
from antiphon.inference.metrics import Metrics
from antiphon.ledger.meter import Account, Meter
from antiphon.pools.pool import Pool
from antiphon.pools.pools import Pools
from antiphon.settings import Settings
from antiphon.values import Caller, Snapshot, Task

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

    def _resolve(self, model: str, task: Task) -> Snapshot:
        """The snapshot behind a name. Raises `ModelNotFound`, or `UnsupportedParameter` for another task."""
        snapshot = self._catalogue.resolve(model)
        if snapshot.task != task:
            raise UnsupportedParameter(
                f"The model '{model}' {_CANNOT[task]}.", param="model", code="unsupported_value"
            )
        return snapshot

    def _awake(self, snapshot: Snapshot) -> Pool:
        """The pool of a snapshot of which nothing special is asked; if it sleeps, it begins to wake."""
        pool = self._pools.get(snapshot.id)
        pool.wake()
        return pool


def account(caller: Caller) -> Account:
    """Who pays for what a caller asks."""
    return Account(
        organization_id=caller.organization_id,
        project_id=caller.project_id,
        key_id=caller.key_id,
        member_id=caller.member_id,
    )

"""What the conductors of chat and of recordings share: the services they call, and the first call."""

from __future__ import annotations

from antiphon.admission.gate import Gate
from antiphon.catalogue.catalogue import Catalogue
from antiphon.errors import UnsupportedParameter
from antiphon.inference.metrics import Metrics
from antiphon.pools.pool import Pools
from antiphon.settings import Settings
from antiphon.values import Snapshot, Task

_CANNOT: dict[Task, str] = {"chat": "does not answer chat requests", "speech": "does not transcribe"}


class Conductor:
    """Holds the services of a request's path, in the order in which they are called."""

    def __init__(
        self, settings: Settings, catalogue: Catalogue, gate: Gate, pools: Pools, metrics: Metrics
    ) -> None:
        self._settings = settings
        self._catalogue = catalogue
        self._gate = gate
        self._pools = pools
        self._metrics = metrics

    def _resolve(self, model: str, task: Task) -> Snapshot:
        """The snapshot behind a name. Raises `ModelNotFound`, or `UnsupportedParameter` for another task."""
        snapshot = self._catalogue.resolve(model)
        if snapshot.task != task:
            raise UnsupportedParameter(
                f"The model '{model}' {_CANNOT[task]}.", param="model", code="unsupported_value"
            )
        return snapshot

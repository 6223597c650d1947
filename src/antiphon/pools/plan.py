"""Which processes there are to be for some deployments. Plain functions."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

import msgspec
from msgspec.structs import replace

from antiphon.engines.base import EngineKind
from antiphon.errors import ConfigurationError
from antiphon.values import NOTHING, Capacity, Deployment


class Unit(msgspec.Struct, frozen=True):
    """What one process serves: one deployment, or all those of a shared engine."""

    name: str
    """The snapshot's id, or the name of the shared engine: what the runtime calls the process."""
    deployments: tuple[Deployment, ...]
    generation: str
    """Another one as soon as the process would have to be another; the same for all replicas."""
    replica: int = 0
    """Its number among them."""
    part: tuple[int, int] = (0, 1)
    """Which of how many processes this is that use it."""

    @property
    def key(self) -> str:
        """What processes call it when they talk of engines."""
        return f"{self.generation}-{self.replica}"

    @property
    def process(self) -> str:
        """What its process and its log are called."""
        # No name has a plus sign in it: none is another one's replica.
        return f"{self.name}+{self.replica + 1}" if self.replica else self.name

    @property
    def needs(self) -> Capacity:
        """What the process takes of the machine where it runs."""
        return sum((deployment.needs for deployment in self.deployments), NOTHING)

    @property
    def on_demand(self) -> bool:
        """Whether it need not run while nobody asks for it."""
        return all(deployment.on_demand for deployment in self.deployments)

    def slots(self, deployment: Deployment) -> int:
        """How many requests this process may give to a deployment of it.

        All processes' together are the engine's, but where there are more processes than those: since none
        can pass a request on, each has one.
        """
        process, of = self.part
        slots, left = divmod(deployment.slots, of)
        return max(1, slots + (process < left))

    @property
    def spare(self) -> bool:
        """Whether it runs only while many wait."""
        return self.replica >= max(deployment.replicas for deployment in self.deployments)


def units(
    deployments: Iterable[Deployment], kinds: Mapping[str, EngineKind]
) -> list[tuple[Unit, EngineKind]]:
    """What each process serves: the deployments of a shared kind together, every other one and each dedicated
    instance alone; and that once for each replica.

    Raises `ConfigurationError` for an unknown engine, and for a deployment with the name of a shared one.
    """
    found: dict[str, tuple[EngineKind, list[Deployment]]] = {}
    for deployment in deployments:
        kind = _kind(deployment, kinds)
        name = kind.name if kind.shared and not deployment.instance else deployment.name
        other, together = found.setdefault(name, (kind, []))
        if other is not kind:
            raise ConfigurationError(
                f"The model '{name}' has the name of an engine", fix="in models.toml, give it another id"
            )
        together.append(deployment)
    return [
        (Unit(name, tuple(these), _generation(name, these), replica), kind)
        for name, (kind, these) in found.items()
        for replica in range(max(deployment.most_replicas for deployment in these))
    ]


def _generation(name: str, deployments: Iterable[Deployment]) -> str:
    # When it runs, and beside how many or which others, changes nothing in the process.
    same = {"on_demand": False, "coming": False, "replicas": 1, "most_replicas": 1, "spill_over": False}
    launched = [replace(one, **same) for one in deployments]
    told = msgspec.json.encode([name, launched], enc_hook=str)
    return hashlib.sha256(told).hexdigest()[:12]


def _kind(deployment: Deployment, kinds: Mapping[str, EngineKind]) -> EngineKind:
    try:
        return kinds[deployment.engine]
    except KeyError:
        raise ConfigurationError(
            f"The model '{deployment.snapshot}' asks for an unknown engine '{deployment.engine}'",
            fix=f"in models.toml, use one of: {', '.join(sorted(kinds))}",
        ) from None

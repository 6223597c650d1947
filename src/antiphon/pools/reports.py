"""What a process that runs engines, and the gateway processes that use them, tell each other.

Each message says all there is to say at its moment: one that is missed is made good by the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import msgspec

from antiphon.address import Address


class Report(msgspec.Struct, frozen=True):
    """An engine that is ready: where it listens, and which snapshots it serves."""

    address: Address
    serves: frozenset[str]
    retiring: bool = False
    """Whether others of its kind are to be given new requests."""
    leaving: bool = False
    """Whether it ends as soon as it has no requests: it is given no new ones."""
    renewed: int = 0
    """Times that one was started anew since it held too much."""


class Engines(msgspec.Struct, frozen=True):
    """To a gateway: every ready engine, by the key of its unit."""

    ready: Mapping[str, Report] = {}
    number: int = 0
    """Higher each time."""


class Uses(msgspec.Struct, frozen=True):
    """From a gateway: the units that it may use, by key, with its requests on each; and whom it wakes."""

    busy: Mapping[str, int] = {}
    woken: frozenset[str] = frozenset()
    waiting: Mapping[str, int] = {}
    """Requests that wait, by the names of deployments."""
    ready: bool = False
    """Whether the gateway has been ready."""
    heard: int = 0
    """The number of the last `Engines` according to which it acts."""


class Told:
    """In a gateway: the last that it was told, and whom it wants to wake."""

    def __init__(self) -> None:
        self.engines = Engines()
        self.heard = asyncio.Event()
        """Set once anything was told."""
        self._change = asyncio.Event()
        self._woken: set[str] = set()

    def hear(self, engines: Engines) -> None:
        self.engines = engines
        self.heard.set()
        self._change.set()
        self._change = asyncio.Event()

    def of(self, key: str) -> Report | None:
        """The ready engine of a unit."""
        return self.engines.ready.get(key)

    async def change(self) -> None:
        """Return when something is told."""
        await self._change.wait()

    def wake(self, key: str) -> None:
        """Ask for an engine to run."""
        self._woken.add(key)

    def wishes(self) -> frozenset[str]:
        """Whom to wake; each is told once."""
        woken, self._woken = frozenset(self._woken), set()
        return woken


class Gateways:
    """In the process that runs the engines: what every gateway said last, and what they all are to know."""

    def __init__(self) -> None:
        self.engines = Engines()
        self.on_wake: Callable[[str], None] = lambda key: None
        """Called with the key of a unit for which a gateway asks."""
        self.change = asyncio.Event()
        """Set when there is something else to know; then there is another event."""
        self._uses: dict[int, Uses] = {}

    def tell(self, engines: Engines) -> None:
        """Let all of them know."""
        if engines.ready != self.engines.ready:
            self.engines = Engines(engines.ready, self.engines.number + 1)
            self.change.set()
            self.change = asyncio.Event()

    def hear(self, process: int, uses: Uses) -> None:
        self._uses[process] = uses
        for key in uses.woken:
            self.on_wake(key)

    def gone(self, process: int) -> None:
        """It has ended, and uses nothing any more."""
        self._uses.pop(process, None)

    def busy(self, key: str) -> int:
        """Requests of all of them that hold an engine."""
        return sum(uses.busy.get(key, 0) for uses in self._uses.values())

    def waiting(self, deployment: str) -> int:
        """Requests in all of them that wait for a deployment."""
        return sum(uses.waiting.get(deployment, 0) for uses in self._uses.values())

    def heard(self) -> bool:
        """Whether all of them act according to what they were told."""
        return all(uses.heard >= self.engines.number for uses in self._uses.values())

    def use(self, key: str) -> bool:
        """Whether any of them may send requests to an engine."""
        return any(key in uses.busy for uses in self._uses.values())

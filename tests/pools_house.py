"""Pools over real processes of fake engines: those that run them, and those that use what others run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from antiphon.engines.base import EngineKind
from antiphon.pools.attached import AttachedReplica, Wish
from antiphon.pools.demand import Demand, Keeper
from antiphon.pools.member import Member, Status
from antiphon.pools.plan import Unit
from antiphon.pools.policy import Pace
from antiphon.pools.pools import Pools
from antiphon.pools.replica import Replica, Verify
from antiphon.pools.reports import Engines, Gateways, Told, Uses
from antiphon.runtime.local import LocalRuntime
from antiphon.settings import Settings
from antiphon.values import Deployment

QUICK = Pace(probe=0.1, retry=0.02, backoff=0.05, backoff_max=0.2, healthy=60.0)
IDLE = 60.0
Kinds = Mapping[str, EngineKind]


async def fine(deployment: Deployment) -> None:
    """A model that is what it should be."""


def owned(
    home: Path,
    kinds: Kinds,
    *,
    verify: Verify = fine,
    pace: Pace = QUICK,
    gateways: Gateways | None = None,
    idle: float = IDLE,
    patience: float = 600.0,
    **settings: float,
) -> Pools:
    """Pools that run their engines; what they serve follows by `follow`."""
    told = gateways or Gateways()
    runtime = LocalRuntime(home / "run", home / "logs")
    chosen, turn = Settings(home=str(home), **settings), asyncio.Lock()

    def make(unit: Unit, kind: EngineKind, changed: Callable[[], None]) -> tuple[Member, Keeper]:
        replica = Replica(unit, kind, changed, settings=chosen, runtime=runtime, verify=verify, pace=pace)

        def busy() -> int:
            return replica.busy + told.busy(unit.key)

        return replica, Demand(
            replica, busy, idle, told.heard, spare=unit.spare, outgrown=replica.outgrown, turn=turn
        )

    pools = Pools(kinds, make, in_use=told.use, patience=patience)
    told.on_wake = pools.wake
    pools.on_pool.append(lambda pool: pool.on_change.append(lambda: told.tell(Engines(pools.reports()))))
    return pools


def attached(
    home: Path, kinds: Kinds, told: Told, *, part: tuple[int, int] = (0, 1), **settings: float
) -> Pools:
    """Pools that use the engines of which they are told."""
    chosen = Settings(home=str(home), **settings)

    def make(unit: Unit, kind: EngineKind, changed: Callable[[], None]) -> tuple[Member, Keeper]:
        replica = AttachedReplica(unit, kind, changed, settings=chosen, told=told, pace=QUICK)
        return replica, Wish(replica, told, unit.key)

    return Pools(kinds, make, part=part)


@asynccontextmanager
async def wired(gateways: Gateways, told: Told, pools: Pools, process: int = 1) -> AsyncIterator[None]:
    """What a pipe does between two processes: each hears what the other says, a moment later."""

    async def carry() -> None:
        heard = 0
        while True:
            if told.engines != gateways.engines:
                told.hear(gateways.engines)
            gateways.hear(process, Uses(pools.busy(), told.wishes(), heard=heard))
            heard = told.engines.number
            await asyncio.sleep(0.02)

    carrying = asyncio.create_task(carry(), name="wire")
    try:
        yield
    finally:
        carrying.cancel()
        await asyncio.wait({carrying})
        gateways.gone(process)


def only(pools: Pools, name: str) -> Status:
    """How the only engine of a deployment stands."""
    [status] = pools.status()[name]
    return status


def pid(pools: Pools, name: str) -> int:
    found = only(pools, name).pid
    assert found is not None
    return found

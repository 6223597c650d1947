"""Where engines run, and the pools of them: of this process, or of another one that it is told of."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from antiphon import engines
from antiphon.catalogue import preparing
from antiphon.catalogue.entries import Entry
from antiphon.catalogue.store import ModelStore
from antiphon.engines.base import EngineKind
from antiphon.pools.attached import AttachedReplica, Wish
from antiphon.pools.demand import Demand, Keeper
from antiphon.pools.member import Member
from antiphon.pools.plan import Unit
from antiphon.pools.policy import ELSEWHERE, Pace
from antiphon.pools.pools import Pools
from antiphon.pools.replica import Replica
from antiphon.pools.reports import Gateways, Told
from antiphon.runtime.base import Runtime
from antiphon.runtime.elsewhere import Elsewhere
from antiphon.runtime.local import LocalRuntime
from antiphon.runtime.ray import RayRuntime
from antiphon.settings import Settings
from antiphon.values import Deployment

_SCALE_SECONDS = 1.0
_ATTACH_SECONDS = 3.0


def own(settings: Settings, runtime: Runtime, gateways: Gateways, entry: Callable[[str], Entry]) -> Pools:
    """Pools that run the engines, for requests of this process or of `gateways`."""
    store = ModelStore(settings.home_path)

    async def verify(deployment: Deployment) -> None:
        await asyncio.to_thread(store.verify, entry(deployment.snapshot))
        if deployment.prepared is not None:
            await asyncio.to_thread(preparing.verify, deployment.prepared)

    idle = max(settings.engine_idle_seconds, settings.queue_seconds)
    # Whole processors are dealt out by one for all engines of this machine.
    local = runtime if isinstance(runtime, LocalRuntime) else _local(settings)
    turn = asyncio.Lock()

    def make(unit: Unit, kind: EngineKind, changed: Callable[[], None]) -> tuple[Member, Keeper]:
        place, pace, first = runtime, Pace(), unit.deployments[0]
        if kind.reached is not None:
            place, pace = Elsewhere(partial(kind.reached, first, unit.replica, settings)), ELSEWHERE
        elif first.site is not None:
            place = local  # where the operator's keys are
        replica = Replica(unit, kind, changed, settings=settings, runtime=place, verify=verify, pace=pace)

        def busy() -> int:
            return replica.busy + gateways.busy(unit.key)

        return replica, Demand(
            replica, busy, idle, gateways.heard, spare=unit.spare, outgrown=replica.outgrown, turn=turn
        )

    return Pools(engines.kinds(), make, in_use=gateways.use)


def new_runtime(settings: Settings) -> Runtime:
    return RayRuntime(settings.ray_address) if settings.runtime == "ray" else _local(settings)


def _local(settings: Settings) -> LocalRuntime:
    return LocalRuntime(settings.home_path / "run", settings.home_path / "logs")


def attached(settings: Settings, told: Told, process: int | None) -> Pools:
    """Pools of engines that another process runs; processes are numbered from 1 on."""

    def make(unit: Unit, kind: EngineKind, changed: Callable[[], None]) -> tuple[Member, Keeper]:
        replica = AttachedReplica(unit, kind, changed, settings=settings, told=told, pace=Pace())
        return replica, Wish(replica, told, unit.key)

    return Pools(engines.kinds(), make, part=((process or 1) - 1, settings.processes))


async def attach(told: Told, pools: Pools) -> None:
    """Return once this process uses the engines that run: to its first request a name means what it does to
    all others. An engine that does not answer is waited for a few seconds."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_ATTACH_SECONDS):
            await told.heard.wait()
            await pools.using(lambda: told.engines.ready)


def whenever(pools: Pools, call: Callable[[], None]) -> None:
    """Call whenever any engine becomes ready, or is not ready any more."""
    pools.on_pool.append(lambda pool: pool.on_change.append(call))


async def keep_scaled(
    pools: Pools,
    busy: Callable[[str], int],
    waiting: Callable[[str], int],
    scaled: Callable[[], None] = lambda: None,
) -> None:
    """Look again and again at how many replicas there should be."""
    while True:
        await asyncio.sleep(_SCALE_SECONDS)
        pools.scale(busy, waiting, time.monotonic())
        scaled()

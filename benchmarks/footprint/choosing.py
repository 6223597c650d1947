"""How long a gateway looks for the engine of a request among a thousand."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any, cast

from antiphon import engines
from antiphon.engines.base import Engine
from antiphon.pools.demand import Keeper
from antiphon.pools.member import Member
from antiphon.pools.plan import Unit
from antiphon.pools.policy import Pace
from antiphon.pools.pool import Place, Pool
from antiphon.settings import Settings
from antiphon.values import Deployment
from benchmarks.footprint.processor import quick
from benchmarks.footprint.values import Chosen

ENGINES = 1000


class Ready(Member):
    """An engine that is always ready, and is not there."""

    def __init__(self, unit: Unit, *arguments: Any, **more: Any) -> None:
        super().__init__(unit, *arguments, **more)
        self._enter("ready", cast(Engine, object()), unit.deployments)

    async def _attend(self) -> None:
        await asyncio.Event().wait()


def chosen(times: int) -> Chosen:
    """What a request asks of its pool: twice how many places there are, and one of them."""
    kind = engines.kinds()["vllm"]
    deployment = Deployment(snapshot="model", task="chat", engine=kind.name, model=Path("model"), slots=128)
    pool = Pool(deployment, kind)
    for number in range(ENGINES):
        unit = Unit(deployment.name, (deployment,), "generation", number)
        member = Ready(unit, kind, pool.changed, settings=Settings(), pace=Pace())
        pool.places.append(Place(member, cast(Keeper, None), unit.generation))
    took = []
    for number in range(times):
        before = time.process_time()
        assert pool.capacity == 128 * ENGINES
        with pool.acquire(("organization", number)):
            assert pool.capacity
        took.append((time.process_time() - before) * 1e6)
    return Chosen(engines=ENGINES, microseconds=quick(took))

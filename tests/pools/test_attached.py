"""Pools that use another process's engine; that other one is played by pools of this process."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

import fake_engine
from antiphon.engines.base import EngineKind
from antiphon.errors import ConfigurationError, EngineFailed
from antiphon.pools.pool import Pool
from antiphon.pools.pools import Pools
from antiphon.pools.reports import Gateways, Told
from antiphon.values import Deployment
from pools_house import attached, only, owned, pid, wired
from until import until

SNAPSHOT = "fake-2024"


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return Deployment(snapshot=SNAPSHOT, task="chat", engine="fake", model=tmp_path / "m.gguf", slots=3)


@pytest.fixture
def gateways() -> Gateways:
    return Gateways()


@pytest.fixture
def own(tmp_path: Path, deployment: Deployment, gateways: Gateways) -> Callable[..., Any]:
    """Pools that run the engine, for the block."""

    @asynccontextmanager
    async def running(kind: EngineKind | None = None, **settings: float) -> AsyncIterator[Pools]:
        pools = owned(tmp_path, {"fake": kind or fake_engine.kind()}, gateways=gateways, **settings)
        pools.follow([deployment])
        try:
            yield pools
        finally:
            async with asyncio.timeout(15):
                await pools.stop(1.0)

    return running


@pytest.fixture
def use(tmp_path: Path, deployment: Deployment, gateways: Gateways) -> Callable[..., Any]:
    """Pools that use the engine, for the block, after which none of their tasks is left."""

    @asynccontextmanager
    async def using(kind: EngineKind | None = None, process: int = 1, of: int = 1) -> AsyncIterator[Pools]:
        told = Told()
        before = asyncio.all_tasks()
        pools = attached(tmp_path, {"fake": kind or fake_engine.kind()}, told, part=(process - 1, of))
        pools.follow([deployment])
        try:
            async with wired(gateways, told, pools, process):
                yield pools
        finally:
            async with asyncio.timeout(15):
                await pools.stop(1.0)
            assert not {task for task in asyncio.all_tasks() - before if "attached" in task.get_name()}

    return using


def pool_of(pools: Pools) -> Pool:
    return pools.get(SNAPSHOT)


async def test_one_that_idles_ends_under_no_request_of_another_process(
    own: Callable[..., Any], use: Callable[..., Any], deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("antiphon.pools.demand._LOOK", 0.02)
    on_demand = [msgspec.structs.replace(deployment, on_demand=True)]
    async with own(idle=0.1) as owners, use() as users:
        pool = pool_of(users)
        for pools in (owners, users):
            pools.follow(on_demand)

        def asked() -> bool:
            pool.wake()
            return pool.ready

        ends = 0
        for turn in range(40):
            # Requests come as often as it is about to end, now a little before, now a little after that.
            await asyncio.sleep(0.08 + turn % 20 * 0.01)
            ends += not pool.ready
            await until(asked)
            with pool.acquire() as lease:
                await asyncio.sleep(0.03)
                await cast(fake_engine.ProbeClient, lease.engine).probe()
        await until(lambda: not pool.ready)
        assert 0 < ends


async def probed(pool: Pool) -> None:
    with pool.acquire() as lease:
        await cast(fake_engine.ProbeClient, lease.engine).probe()


async def test_it_is_ready_once_the_engine_is_and_serves(
    own: Callable[..., Any], use: Callable[..., Any], gateways: Gateways
) -> None:
    async with use() as pools:
        pool = pool_of(pools)
        await asyncio.sleep(0.1)
        assert not pool.ready and pool.status()[0].state == "starting"
        async with own(fake_engine.kind(ready_after=0.3)) as running:
            await until(lambda: pool.ready)
            assert only(running, SNAPSHOT).pid is not None and pool.status()[0].pid is None
            assert pool.capacity == 3
            with pool.acquire() as lease:
                [key] = pools.busy()
                assert pools.busy() == {key: 1}
                await until(lambda: gateways.busy(key) == 1 and gateways.use(key))
                await cast(fake_engine.ProbeClient, lease.engine).probe()
            await until(lambda: gateways.busy(key) == 0 and gateways.use(key))
        await until(lambda: not pool.ready)
    assert not gateways.use(key)


async def test_several_share_one_engine_and_its_slots(
    own: Callable[..., Any], use: Callable[..., Any]
) -> None:
    async with own() as running:
        async with use(of=2) as first:
            async with use(process=2, of=2) as second:
                await until(lambda: pool_of(first).ready and pool_of(second).ready)
                assert (pool_of(first).capacity, pool_of(second).capacity) == (2, 1)
            assert pool_of(first).ready
        await asyncio.sleep(0.2)
        assert running.ready and only(running, SNAPSHOT).restarts == 0


async def test_a_killed_engine_is_noticed_and_its_successor_taken(
    own: Callable[..., Any], use: Callable[..., Any]
) -> None:
    changes: list[int] = []
    async with own() as running, use() as pools:
        pool = pool_of(pools)
        pool.on_change.append(lambda: changes.append(pool.capacity))
        await until(lambda: pool.ready)
        with pool.acquire() as lease:
            os.kill(pid(running, SNAPSHOT), signal.SIGKILL)
            await until(lambda: changes == [3, 0])
            with pytest.raises(EngineFailed):
                await cast(fake_engine.ProbeClient, lease.engine).probe()
        await until(lambda: pool.ready)
        assert pool.status()[0].restarts == 1 and pool.status()[0].error == "The engine ended."
        await probed(pool)
        assert changes == [3, 0, 3]


async def test_a_silent_engine_serves_again_once_it_was_replaced(
    own: Callable[..., Any], use: Callable[..., Any]
) -> None:
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(own(engine_silence_seconds=0.3))
        pool = pool_of(await stack.enter_async_context(use()))
        await until(lambda: pool.ready)
        os.kill(pid(running, SNAPSHOT), signal.SIGSTOP)
        await until(lambda: not pool.ready)
        await until(lambda: pool.ready)
        await probed(pool)


async def test_what_an_engine_says_of_itself_is_kept_and_tried_again(
    own: Callable[..., Any], use: Callable[..., Any]
) -> None:
    class Refusing(fake_engine.ProbeClient):
        async def probe(self) -> None:
            raise ConfigurationError("The model has no chat template")

    refusing = EngineKind(
        name="fake",
        task="chat",
        reads=frozenset({"gguf"}),
        command=fake_engine.kind().command,
        connect=lambda deployments, settings, address: Refusing(address),
    )
    async with own(), use(refusing) as pools:
        pool = pool_of(pools)
        await until(lambda: pool.status()[0].restarts == 2)
        assert pool.status()[0].error == "The model has no chat template" and not pool.ready


async def test_what_runs_on_demand_is_woken_from_elsewhere(
    own: Callable[..., Any], use: Callable[..., Any], deployment: Deployment, gateways: Gateways
) -> None:
    asleep = msgspec.structs.replace(deployment, on_demand=True)
    async with own() as running, use() as pools:
        for one in (running, pools):
            one.follow([asleep])
        pool = pool_of(pools)
        pool.wake()
        await until(lambda: pool.ready)
        await probed(pool)

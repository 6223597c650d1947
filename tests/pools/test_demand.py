"""Engines that run on demand: started by who asks, ended when nobody does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import msgspec
import pytest

import fake_engine
from antiphon.pools.pool import Pool
from antiphon.pools.pools import Incapable, Pools
from antiphon.values import Deployment, Feature
from pools_house import owned
from until import until

SNAPSHOT = "fake-2024"
IDLE = 0.4
Serve = Callable[..., AbstractAsyncContextManager[Pools]]


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Serve:
    """A snapshot with two engines, of which the second can do what the first cannot."""
    monkeypatch.setattr("antiphon.pools.demand._LOOK", 0.05)
    able = fake_engine.kind(name="able", features={"seed", "logit_bias"})

    def deployment(engine: str, alternative: bool) -> Deployment:
        return Deployment(
            snapshot=SNAPSHOT,
            task="chat",
            engine=engine,
            model=tmp_path / "m.gguf",
            slots=2,
            alternative=alternative,
            on_demand=alternative,
        )

    @asynccontextmanager
    async def serving(always: bool = False, **options: object) -> AsyncIterator[Pools]:
        fast = fake_engine.kind(name="fast", features={"seed"}, **options)
        kinds = {kind.name: kind for kind in (fast, able)}
        pools = owned(tmp_path, kinds, idle=IDLE)
        second = msgspec.structs.replace(deployment("able", True), on_demand=not always)
        pools.follow([deployment("fast", False), second])
        try:
            yield pools
        finally:
            async with asyncio.timeout(15):
                await pools.stop(1.0)
            assert [status.state for [status] in pools.status().values()] == ["stopped", "stopped"]

    return serving


def state(pool: Pool) -> str:
    return pool.status()[0].state


def able(pools: Pools) -> Pool:
    return pools.get(SNAPSHOT, {"logit_bias"})


async def woken(pool: Pool) -> None:
    """Return once it is ready; whoever waits for long asks again."""

    def asked() -> bool:
        pool.wake()
        return pool.ready

    await until(asked)


async def test_a_request_gets_the_first_engine_that_can_do_what_it_needs(serve: Serve) -> None:
    expected: list[tuple[set[Feature], str]] = [
        (set(), "fast"),
        ({"seed"}, "fast"),
        ({"logit_bias"}, "able"),
        ({"seed", "logit_bias"}, "able"),
    ]
    async with serve() as pools:
        found = [(needs, pools.get(SNAPSHOT, needs).deployment.engine) for needs, _ in expected]
        assert found == expected
        assert pools.get(SNAPSHOT, wishes={"logit_bias"}).deployment.engine == "able"
        assert pools.get(SNAPSHOT, {"seed"}, {"grammar"}).deployment.engine == "fast", "nobody grants it"
        with pytest.raises(Incapable) as refused:
            pools.get(SNAPSHOT, {"seed", "grammar"})
        assert refused.value.feature == "grammar"


async def test_it_starts_when_it_is_asked_for_and_ends_when_it_is_not(serve: Serve) -> None:
    async with serve() as pools:
        await until(lambda: pools.ready)
        pool = able(pools)
        assert (state(pool), pool.capacity) == ("stopped", 0)
        await woken(pool)
        assert pool.capacity == 2
        await until(lambda: state(pool) == "stopped")
        await woken(pool)


async def test_it_goes_on_for_as_long_as_a_request_holds_it(serve: Serve) -> None:
    async with serve() as pools:
        pool = able(pools)
        await woken(pool)
        with pool.acquire():
            await asyncio.sleep(3 * IDLE)
            assert pool.ready
        await until(lambda: state(pool) == "stopped")


async def test_who_asks_while_it_ends_gets_the_next_one(serve: Serve) -> None:
    async with serve() as pools:
        pool = able(pools)
        await woken(pool)
        await until(lambda: not pool.ready)
        await woken(pool)


async def test_one_that_ends_again_and_again_is_not_counted_on(serve: Serve) -> None:
    async with serve(exit=3) as pools:
        assert not pools.ready and pools.get(SNAPSHOT).deployment.engine == "fast"
        await until(lambda: pools.get(SNAPSHOT).deployment.engine == "able")
        assert pools.ready, "who asks starts the other one"
        assert pools.get(SNAPSHOT, {"seed"}) is able(pools)
        await woken(able(pools))


async def test_what_is_wanted_always_runs_from_the_start_and_ends_once_it_is_not(serve: Serve) -> None:
    async with serve(always=True) as pools:
        await until(lambda: all(pool.ready for pool in pools))
        await asyncio.sleep(2 * IDLE)
        pool = able(pools)
        assert pool.ready
        deployments = [msgspec.structs.replace(one.deployment, on_demand=True) for one in pools]
        before = pool.status()[0].pid
        pools.follow(deployments)
        assert pool.status()[0].pid == before, "it is the same engine"
        await until(lambda: state(pool) == "stopped")

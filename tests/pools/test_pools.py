"""Pools that follow a plan: what is new is started, what is replaced goes on until nobody needs it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from msgspec.structs import replace

import fake_engine
from antiphon.errors import ConfigurationError, EngineFailed, EngineRefused, Unavailable
from antiphon.pools.pools import Pools
from antiphon.pools.reports import Gateways, Told
from antiphon.values import Deployment
from pools_house import attached, owned, wired
from until import until

SNAPSHOT = "fake-2024"
KINDS = {
    "fake": fake_engine.kind(),
    "slow": fake_engine.kind(name="slow", ready_after=0.6),
    "never": fake_engine.kind(name="never", ready_after="inf"),
    "ends": fake_engine.kind(name="ends", exit=1),
}


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return Deployment(snapshot=SNAPSHOT, task="chat", engine="fake", model=tmp_path / "m.gguf", slots=3)


@pytest.fixture
def serve(tmp_path: Path, deployment: Deployment) -> Callable[..., Any]:
    @asynccontextmanager
    async def serving(**options: Any) -> AsyncIterator[Pools]:
        before = asyncio.all_tasks()
        pools = owned(tmp_path, KINDS, **options)
        pools.follow([deployment])
        try:
            await until(lambda: pools.ready)
            yield pools
        finally:
            async with asyncio.timeout(15):
                await pools.stop(1.0)
            assert asyncio.all_tasks() <= before
            assert list((tmp_path / "run").iterdir()) == []

    return serving


def pids(pools: Pools) -> list[int | None]:
    return [status.pid for status in pools.status()[SNAPSHOT]]


async def test_what_stays_the_same_is_left_alone(serve: Callable[..., Any], deployment: Deployment) -> None:
    async with serve() as pools:
        before = pids(pools)
        pools.follow([replace(deployment)])
        await asyncio.sleep(0.3)
        assert pids(pools) == before and pools.status()[SNAPSHOT][0].restarts == 0


async def test_a_successor_takes_over_once_it_is_ready_and_the_old_ends_its_requests(
    serve: Callable[..., Any], deployment: Deployment
) -> None:
    async with serve() as pools:
        pool = pools.get(SNAPSHOT)
        [old] = pids(pools)
        with pool.acquire() as lease:
            pools.follow([replace(deployment, engine="slow", slots=5)])
            assert pools.get(SNAPSHOT) is pool and pool.capacity == 3, "the old serves until the new is ready"
            with pool.acquire() as meanwhile:
                assert meanwhile.engine is lease.engine
            await until(lambda: pool.capacity == 5)
            with pool.acquire() as later:
                assert later.engine is not lease.engine and later.deployment.slots == 5
                assert later.fingerprint != lease.fingerprint
            await asyncio.sleep(0.6)
            assert len(pids(pools)) == 2 and old in pids(pools)
            await cast(fake_engine.ProbeClient, lease.engine).probe()
        await until(lambda: len(pids(pools)) == 1)
        assert old not in pids(pools) and pool.capacity == 5 and len(pools.busy()) == 1


async def test_a_successor_that_never_becomes_ready_replaces_nothing(
    serve: Callable[..., Any], deployment: Deployment
) -> None:
    async with serve(patience=0.1, engine_start_seconds=2.0) as pools:
        [old] = pids(pools)
        pools.follow([replace(deployment, engine="never")])
        await until(lambda: pools.status()[SNAPSHOT][0].restarts >= 1)
        assert pids(pools)[-1] == old and pools.get(SNAPSHOT).capacity == 3


async def test_what_is_wanted_again_before_it_ended_goes_on(
    serve: Callable[..., Any], deployment: Deployment
) -> None:
    async with serve() as pools:
        pool = pools.get(SNAPSHOT)
        [old] = pids(pools)
        with pool.acquire():
            pools.follow([replace(deployment, slots=5)])
            await until(lambda: pool.capacity == 5)
            pools.follow([deployment])
            assert pool.capacity == 3 and pids(pools)[0] == old
            await until(lambda: pids(pools) == [old])
        await asyncio.sleep(0.4)
        assert pids(pools) == [old]


async def test_what_is_gone_from_the_plan_ends_with_its_requests_or_its_patience(
    serve: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    async with serve(patience=0.5) as pools:
        pool = pools.get(SNAPSHOT)
        with pool.acquire() as lease:
            pools.follow([])
            with pytest.raises(Unavailable):
                pools.get(SNAPSHOT)
            assert not pools.serves(SNAPSHOT) and list(pools) == [] and pools.ready
            await cast(fake_engine.ProbeClient, lease.engine).probe()
            await until(lambda: pools.status() == {})
        assert "under its last requests" in caplog.text
        with pytest.raises(Unavailable), pool.acquire():
            pass


async def test_who_was_on_the_way_as_it_left_the_plan_is_served(serve: Callable[..., Any]) -> None:
    async with serve() as pools:
        pool = pools.get(SNAPSHOT)
        pools.follow([])
        await asyncio.sleep(0.4)
        with pool.acquire() as lease:
            await cast(fake_engine.ProbeClient, lease.engine).probe()
        await until(lambda: pools.status() == {})


async def test_a_plan_that_cannot_be_changes_nothing(
    serve: Callable[..., Any], deployment: Deployment
) -> None:
    async with serve() as pools:
        before = pids(pools)
        with pytest.raises(ConfigurationError):
            pools.follow([replace(deployment, engine="llama")])
        assert pools.serves(SNAPSHOT) and pids(pools) == before


async def test_what_ends_again_and_again_is_broken(serve: Callable[..., Any], deployment: Deployment) -> None:
    async with serve() as pools:
        pools.follow([deployment, replace(deployment, snapshot="other", engine="ends")])
        assert not pools.broken("other"), "it may become ready"
        await until(lambda: pools.broken("other"))
        assert not pools.broken(SNAPSHOT) and not pools.broken("nobody's") and not pools.serves("other")


async def test_it_is_told_of_pools_that_come(serve: Callable[..., Any], deployment: Deployment) -> None:
    async with serve() as pools:
        told: list[str] = []
        pools.on_pool.append(lambda pool: told.append(pool.deployment.name))
        pools.follow([deployment, replace(deployment, snapshot="other")])
        assert told == ["other"]
        await until(lambda: pools.serves("other"))


async def test_an_engine_outlives_the_plan_until_no_gateway_uses_it(
    serve: Callable[..., Any], tmp_path: Path, deployment: Deployment
) -> None:
    gateways, told = Gateways(), Told()
    users = attached(tmp_path, KINDS, told)
    users.follow([deployment])
    async with serve(gateways=gateways) as pools, wired(gateways, told, users):
        await until(lambda: users.ready)
        [old] = pids(pools)
        with users.get(SNAPSHOT).acquire() as lease:
            for one in (pools, users):
                one.follow([replace(deployment, slots=5)])
            await until(lambda: users.get(SNAPSHOT).capacity == 5)
            await asyncio.sleep(0.6)
            assert old in pids(pools)
            await cast(fake_engine.ProbeClient, lease.engine).probe()
        await until(lambda: len(pids(pools)) == 1 and old not in pids(pools))
        assert users.get(SNAPSHOT).ready
        await users.stop(1.0)


def scaled(deployment: Deployment, least: int, most: int) -> Deployment:
    return replace(deployment, replicas=least, most_replicas=most)


async def test_replicas_share_the_requests(serve: Callable[..., Any], deployment: Deployment) -> None:
    async with serve() as pools:
        pools.follow([scaled(deployment, 2, 2)])
        pool = pools.get(SNAPSHOT)
        await until(lambda: pool.capacity == 6)
        with pool.acquire() as first, pool.acquire() as second, pool.acquire() as third:
            assert first.engine is not second.engine and third.engine in (first.engine, second.engine)
        with pool.acquire("beginning") as first, pool.acquire() as second, pool.acquire() as third:
            assert second.engine is not first.engine
        with pool.acquire("beginning") as again, pool.acquire("beginning", besides=again) as other:
            assert again.engine is first.engine and other.engine is not again.engine


async def test_an_engine_that_fails_again_and_again_is_left_out_for_a_while(
    serve: Callable[..., Any], deployment: Deployment
) -> None:
    async with serve() as pools:
        pools.follow([scaled(deployment, 2, 2)])
        pool = pools.get(SNAPSHOT)
        await until(lambda: pool.capacity == 6)
        with pool.acquire() as bad:
            pass
        for _ in range(3):
            with pytest.raises(EngineFailed), pool.acquire("bad") as lease:
                assert lease.engine is bad.engine
                raise EngineFailed("It broke off.")
        for _ in range(3):
            with pool.acquire("bad") as lease:
                assert lease.engine is not bad.engine
        for _ in range(2):
            with pytest.raises(EngineRefused), pool.acquire():
                raise EngineRefused("The request is at fault.")
        await asyncio.sleep(1.1)
        with pool.acquire() as lease:
            assert lease.engine is bad.engine, "one request finds out whether it is well again"


async def test_replicas_come_while_many_wait_and_go_when_they_are_not_needed(
    serve: Callable[..., Any], deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("antiphon.pools.pools._CALM_SECONDS", 5.0)
    monkeypatch.setattr("antiphon.pools.demand._LOOK", 0.05)
    async with serve() as pools:
        pools.follow([scaled(deployment, 1, 3)])
        pool = pools.get(SNAPSHOT)
        assert pool.capacity == 3 and len(pids(pools)) == 3
        waiting = {SNAPSHOT: 1}
        for _ in range(2):
            pools.scale(lambda key: 0, lambda name: waiting[name], 0.0)
        await until(lambda: pool.capacity == 6)
        assert pools.status()[SNAPSHOT][0].state == "stopped", "the second was on its way"
        waiting = {SNAPSHOT: 7}
        pools.scale(lambda key: 0, lambda name: waiting[name], 0.0)
        await until(lambda: pool.capacity == 9)
        waiting[SNAPSHOT] = 0
        for now in (1.0, 5.9):
            pools.scale(lambda key: 0, lambda name: waiting[name], now)
            assert pool.capacity == 9
        with ExitStack() as held:
            for _ in range(3):
                held.enter_context(pool.acquire())
            pools.scale(lambda key: 0, lambda name: 0, 6.0)
            assert pool.capacity == 6, "one takes no new requests"
            await asyncio.sleep(0.6)
            assert sum(status.state == "ready" for status in pools.status()[SNAPSHOT]) == 3, "it has requests"
        await until(lambda: sum(status.state == "ready" for status in pools.status()[SNAPSHOT]) == 2)
        pools.scale(lambda key: 0, lambda name: 0, 11.0)
        await until(lambda: sum(status.state == "ready" for status in pools.status()[SNAPSHOT]) == 1)
        assert pool.capacity == 3
        pools.follow([scaled(deployment, 2, 3)])
        await until(lambda: pool.capacity == 6)
        for now in (20.0, 26.0):
            pools.scale(lambda key: 0, lambda name: 0, now)
        assert pool.capacity == 6, "the second is no spare one any more"


def own(deployment: Deployment, id: str = "dedicated_1", **changes: Any) -> Deployment:
    """An instance of the organization `acme`."""
    return replace(deployment, instance=id, organization="acme", **changes)


async def test_an_instance_serves_its_organization_beside_what_everybody_has(
    serve: Callable[..., Any], deployment: Deployment
) -> None:
    async with serve() as pools:
        everybody = pids(pools)
        assert pools.dedicated("acme", SNAPSHOT) == () and pools.ready_instances() == set()
        pools.follow([deployment, own(deployment, slots=7)])
        [pool] = pools.dedicated("acme", SNAPSHOT)
        assert pools.ready, "nobody else waits for it"
        await until(lambda: pool.ready)
        assert pools.ready_instances() == {("dedicated_1", 0)}
        assert pool.capacity == 7 and pool is not pools.get(SNAPSHOT) and pools.get(SNAPSHOT).capacity == 3
        assert pools.dedicated("other", SNAPSHOT) == pools.dedicated("acme", "other") == ()
        assert pool in list(pools) and pids(pools) == everybody
        with pool.acquire() as lease, pools.get(SNAPSHOT).acquire() as shared:
            assert lease.engine is not shared.engine


async def test_an_instance_needs_nobody_else_to_be_served(
    serve: Callable[..., Any], deployment: Deployment
) -> None:
    async with serve() as pools:
        pools.follow([own(deployment)])
        await until(lambda: pools.ready_instances() == {("dedicated_1", 0)})
        assert not pools.serves(SNAPSHOT)
        with pytest.raises(Unavailable):
            pools.get(SNAPSHOT)
        pools.rouse(SNAPSHOT)


async def test_an_instance_is_resized_without_a_new_engine(
    serve: Callable[..., Any], deployment: Deployment
) -> None:
    async with serve() as pools:
        pools.follow([own(deployment)])
        name = own(deployment).name
        await until(lambda: pools.ready_instances() == {("dedicated_1", 0)})
        [first] = [status.pid for status in pools.status()[name]]
        pools.follow([own(deployment, replicas=2, most_replicas=2, spill_over=True)])
        await until(lambda: pools.ready_instances() == {("dedicated_1", 0), ("dedicated_1", 1)})
        assert first in [status.pid for status in pools.status()[name]]
        [pool] = pools.dedicated("acme", SNAPSHOT)
        assert pool.capacity == 6 and pool.deployment.spill_over
        pools.follow([own(deployment)])
        assert pool.capacity == 3, "the one too many takes no new requests"
        await until(lambda: pools.ready_instances() == {("dedicated_1", 0)})
        assert [status.pid for status in pools.status()[name]] == [first]


async def test_an_instance_that_ends_ends_its_requests_first(
    serve: Callable[..., Any], deployment: Deployment
) -> None:
    async with serve() as pools:
        pools.follow([deployment, own(deployment)])
        await until(lambda: bool(pools.ready_instances()))
        [pool] = pools.dedicated("acme", SNAPSHOT)
        with pool.acquire() as lease:
            pools.follow([deployment])
            assert pools.dedicated("acme", SNAPSHOT) == ()
            await asyncio.sleep(0.6)
            await cast(fake_engine.ProbeClient, lease.engine).probe()
        await until(lambda: own(deployment).name not in pools.status())
        assert pools.ready_instances() == set() and pools.serves(SNAPSHOT)


async def test_what_is_to_come_may_take_its_time(serve: Callable[..., Any], deployment: Deployment) -> None:
    async with serve() as pools:
        await until(lambda: pools.ready)
        other = replace(deployment, snapshot="other")
        pools.follow([deployment, replace(other, coming=True)])
        assert pools.ready and not pools.serves("other")
        pools.follow([deployment, other])
        assert not pools.ready
        await until(lambda: pools.ready and pools.serves("other"))


async def test_what_sleeps_is_roused(serve: Callable[..., Any], deployment: Deployment) -> None:
    async with serve() as pools:
        other = replace(deployment, snapshot="other", on_demand=True)
        pools.follow([deployment, other])
        assert not pools.serves("other")
        pools.rouse("other")
        await until(lambda: pools.serves("other"))


async def test_an_instance_of_several_processes_is_shared_among_them(
    serve: Callable[..., Any], tmp_path: Path, deployment: Deployment
) -> None:
    plan = [deployment, own(deployment, slots=7)]
    gateways, marks = Gateways(), set[str]()
    async with serve(gateways=gateways) as pools:
        pools.follow(plan)
        for process, capacity in enumerate((4, 3)):
            told = Told()
            users = attached(tmp_path, KINDS, told, part=(process, 2))
            users.follow(plan)
            await asyncio.wait_for(users.using(lambda: {"no unit of these"}), 1)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(users.using(users.busy), 0.1)
            async with wired(gateways, told, users, process):
                [pool] = users.dedicated("acme", SNAPSHOT)
                await users.using(users.busy)
                assert pool.capacity == capacity and pools.ready_instances() == {("dedicated_1", 0)}
                with pool.acquire() as lease:
                    marks.add(lease.fingerprint)
                await users.stop(1.0)
    assert len(marks) == 1, "it is the same engine"

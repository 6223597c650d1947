"""Engines that hold more and more: started anew when they have nothing to do, and nobody is refused."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from msgspec.structs import replace

import fake_engine
from antiphon.admission.gate import Gate
from antiphon.pools.growth import allowed, size, too_much
from antiphon.pools.pool import Pool
from antiphon.pools.pools import Pools
from antiphon.pools.reports import Gateways, Told
from antiphon.runtime.base import Process
from antiphon.runtime.elsewhere import Foreign
from antiphon.runtime.local import LocalRuntime
from antiphon.settings import Settings
from antiphon.values import Caller, Deployment
from pools_house import QUICK, attached, owned, pid, wired
from until import until

MIB = 2**20
LEAK, BEYOND = 24 * MIB, 16 * MIB
"""What each answer leaves behind, and what an engine may hold: a single one is too much."""
SNAPSHOT = "fake-2024"
CALLER = Caller(key_id="key_1", project_id="proj_1", organization_id="org-1", organization="acme")
RESTLESS = replace(QUICK, rest=0.0)
Serve = Callable[..., AbstractAsyncContextManager[Pools]]


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return Deployment(snapshot=SNAPSHOT, task="chat", engine="fake", model=tmp_path / "m.gguf", slots=2)


@pytest.fixture
def serve(deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Pools of an engine that leaks with every answer, ready."""
    monkeypatch.setattr("antiphon.pools.demand._LOOK", 0.05)

    @asynccontextmanager
    async def serving(
        *, leak: int = LEAK, beyond: int = BEYOND, replicas: int = 1, **options: Any
    ) -> AsyncIterator[Pools]:
        kind = fake_engine.kind(leak=leak, tokens=2, ready_after=options.pop("ready_after", 0.0))
        given = {"pace": RESTLESS} | options
        pools = owned(tmp_path, {"fake": kind}, engine_idle_memory=beyond, **given)
        pools.follow([replace(deployment, replicas=replicas, most_replicas=replicas)])
        try:
            await until(lambda: all(one.state == "ready" for one in pools.status()[SNAPSHOT]))
            yield pools
        finally:
            async with asyncio.timeout(15):
                await pools.stop(1.0)

    return serving


class Door:
    """What lets requests in, as it does in front of every pool."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.gate = Gate(Settings(queue_seconds=10.0))
        pool.on_change.append(lambda: self.gate.pump(SNAPSHOT))
        self.capacities = [pool.capacity]
        pool.on_change.append(lambda: self.capacities.append(pool.capacity))

    async def ask(self) -> None:
        """A request, answered to its end. Raises whatever is told a client whose request fails."""
        self.pool.wake()
        async with self.gate.enter(CALLER, SNAPSHOT, lambda: self.pool.capacity):
            with self.pool.acquire() as lease:
                engine = cast(fake_engine.ProbeClient, lease.engine)
                body = {"prompt": [1], "n_predict": -1}
                last = [batch[-1] async for batch in engine.upstream.batches("/completion", body)][-1]
                assert b'"stop": true' in last


async def many(door: Door, current: Callable[[], int | None]) -> None:
    """Ask, one request after another, until the engine was started anew twice."""
    seen, chance = [current()], random.Random(7)
    async with asyncio.timeout(60):
        while len(seen) < 3:
            await door.ask()
            # Now at once, now when it is just about to be ended, now while the next one starts.
            await asyncio.sleep(chance.choice((0.0, 0.05, 0.1, 0.17, 0.25, 0.5)))
            if current() not in (None, seen[-1]):
                seen.append(current())


async def test_one_that_has_grown_is_started_anew_and_no_request_fails(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("antiphon.pools.demand._AGAIN", 0.1)
    with caplog.at_level(logging.INFO, logger="antiphon.pools"):
        async with serve() as pools:
            door = Door(pools.get(SNAPSHOT))
            await many(door, lambda: pools.status()[SNAPSHOT][0].pid)
            [status] = pools.status()[SNAPSHOT]
            assert status.restarts == 0, "nothing failed"
            assert status.renewed >= 2
    told = [record.getMessage() for record in caplog.records if "MiB" in record.getMessage()]
    assert len(told) >= 2 and told[0].startswith("the engine of fake-2024 holds")
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


async def test_nor_does_one_of_another_process_that_uses_it(
    serve: Serve, tmp_path: Path, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("antiphon.pools.demand._AGAIN", 0.1)
    gateways, told = Gateways(), Told()
    async with serve(gateways=gateways) as pools:
        users = attached(tmp_path, {"fake": fake_engine.kind()}, told)
        users.follow([deployment])
        async with wired(gateways, told, users):
            try:
                pool = users.get(SNAPSHOT)
                await until(lambda: pool.ready)
                await many(Door(pool), lambda: pools.status()[SNAPSHOT][0].pid)
                await until(
                    lambda: users.status()[SNAPSHOT][0].renewed == pools.status()[SNAPSHOT][0].renewed
                )
            finally:
                await users.stop(1.0)


async def test_who_asks_while_it_is_started_anew_waits_in_line(serve: Serve) -> None:
    async with serve(ready_after=0.5) as pools:
        pool, before = pools.get(SNAPSHOT), pid(pools, SNAPSHOT)
        door = Door(pool)
        await door.ask()
        await until(lambda: pools.status()[SNAPSHOT][0].state == "starting")
        await asyncio.gather(*(door.ask() for _ in range(4)))
        assert pid(pools, SNAPSHOT) != before
        assert 0 in door.capacities


async def test_one_with_work_goes_on(serve: Serve) -> None:
    async with serve() as pools:
        pool, before = pools.get(SNAPSHOT), pid(pools, SNAPSHOT)
        with pool.acquire():
            await Door(pool).ask()
            await asyncio.sleep(0.6)
            assert pid(pools, SNAPSHOT) == before and pool.ready
        await until(lambda: pools.status()[SNAPSHOT][0].pid not in (None, before))


async def test_who_was_let_in_before_it_was_known_still_gets_it(serve: Serve) -> None:
    async with serve(beyond=0) as pools:
        pool = pools.get(SNAPSHOT)
        [place] = pool.places
        place.member.leave(True)
        assert pool.capacity == 0
        with pool.acquire() as lease:
            await cast(fake_engine.ProbeClient, lease.engine).probe()


async def test_of_several_replicas_one_at_a_time(serve: Serve) -> None:
    async with serve(replicas=2) as pools:
        pool = pools.get(SNAPSHOT)
        door = Door(pool)
        before = {status.pid for status in pool.status()}
        with pool.acquire(), pool.acquire():  # neither has nothing to do before both have grown
            await asyncio.gather(door.ask(), door.ask())
        await until(lambda: not before & {status.pid for status in pool.status()})
        await until(lambda: all(status.state == "ready" for status in pool.status()))
        assert min(door.capacities) == 2, "one of them always serves"


@pytest.mark.parametrize(
    "options",
    [
        {"beyond": 0},
        {"leak": MIB},
        {"pace": QUICK},
        {"ready_after": 0.5, "queue_seconds": 0.6},
    ],
    ids=["never", "little", "young", "slow to start"],
)
async def test_one_is_left_alone(serve: Serve, options: dict[str, Any]) -> None:
    async with serve(**options) as pools:
        before = pid(pools, SNAPSHOT)
        await Door(pools.get(SNAPSHOT)).ask()
        await asyncio.sleep(0.6)
        assert pid(pools, SNAPSHOT) == before


@pytest.fixture
async def process(tmp_path: Path) -> AsyncIterator[Process]:
    runtime = LocalRuntime(tmp_path / "run", tmp_path / "logs")
    started = await runtime.start("engine", fake_engine.command)
    yield started
    await started.stop(0)


async def test_what_an_engine_may_hold(process: Process, deployment: Deployment, tmp_path: Path) -> None:
    deployment.model.write_bytes(b"x" * 1000)
    folder = tmp_path / "prepared"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "weights").write_bytes(b"x" * 300)
    (folder / "config").write_bytes(b"x" * 20)
    assert (size(folder), size(deployment.model), size(tmp_path / "none")) == (320, 1000, 0)
    held = await process.memory()
    assert held is not None and held > 0
    most = await allowed(process, [replace(deployment, prepared=folder)] * 2, 4096 * MIB)
    assert most is not None and most > 4096 * MIB + 1320
    assert await allowed(process, [deployment], 0) is None
    assert await too_much(process, most) == await too_much(process, None) == ""
    assert "MiB with nothing to do" in await too_much(process, 1)
    assert await allowed(Foreign(process.address), [deployment], BEYOND) is None

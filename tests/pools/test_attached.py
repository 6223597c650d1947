"""Replicas that use another process's engine; that other one is played by a `Replica` of this process."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

import fake_engine
from antiphon.engines.base import EngineKind
from antiphon.errors import ConfigurationError, EngineFailed
from antiphon.pools.attached import AttachedReplica
from antiphon.pools.policy import Pace
from antiphon.pools.pool import Pool, Pools
from antiphon.pools.replica import Replica
from antiphon.runtime.local import LocalRuntime
from antiphon.settings import Settings
from antiphon.values import Deployment
from until import until

QUICK = Pace(probe=0.1, look=0.02, retry=0.02, backoff=0.05, backoff_max=0.2, healthy=60.0)
SNAPSHOT = "fake-2024"


async def fine(deployment: Deployment) -> None:
    """A model that is what it should be."""


@pytest.fixture
def runtime(tmp_path: Path) -> LocalRuntime:
    return LocalRuntime(tmp_path / "run", tmp_path / "logs")


@pytest.fixture
def serve(tmp_path: Path, runtime: LocalRuntime) -> Callable[..., Any]:
    """A context in which one pool runs, and after which none of its tasks is left."""

    @asynccontextmanager
    async def serving(make: Any, kind: EngineKind | None = None, **settings: float) -> AsyncIterator[Pool]:
        deployment = Deployment(
            snapshot=SNAPSHOT, task="chat", engine="fake", model=tmp_path / "m.gguf", slots=3
        )
        chosen = Settings(home=str(tmp_path), **settings)
        kinds = {"fake": kind or fake_engine.kind()}
        pools = Pools([deployment], kinds, partial(make, settings=chosen, runtime=runtime, pace=QUICK))
        before = asyncio.all_tasks()
        pools.start()
        try:
            yield pools.get(SNAPSHOT)
        finally:
            async with asyncio.timeout(15):
                await pools.stop(1.0)
            assert not {task for task in asyncio.all_tasks() - before if "attached" in task.get_name()}

    return serving


OWN = partial(Replica, verify=fine)


def engine_pid(pool: Pool) -> int:
    [status] = pool.status()
    assert status.pid is not None
    return status.pid


async def test_it_is_ready_once_the_engine_is_and_serves(serve: Callable[..., Any]) -> None:
    async with serve(AttachedReplica) as pool:
        await asyncio.sleep(0.1)
        assert not pool.ready and pool.status()[0].state == "starting"
        async with serve(OWN, fake_engine.kind(ready_after=0.3)) as own:
            await until(lambda: pool.ready)
            assert own.status()[0].pid is not None and pool.status()[0].pid is None
            assert pool.capacity == 3
            with pool.acquire() as lease:
                assert pool.status()[0].busy == 1
                await cast(fake_engine.ProbeClient, lease.engine).probe()
        await until(lambda: not pool.ready)


async def test_several_share_one_engine_and_letting_go_does_not_end_it(serve: Callable[..., Any]) -> None:
    async with serve(OWN) as own:
        async with serve(AttachedReplica) as first:
            async with serve(AttachedReplica) as second:
                await until(lambda: first.ready and second.ready)
            assert first.ready
        await asyncio.sleep(0.2)
        assert own.ready and own.status()[0].restarts == 0


async def test_a_killed_engine_is_noticed_and_its_successor_taken(serve: Callable[..., Any]) -> None:
    changes: list[int] = []
    async with serve(OWN) as own, serve(AttachedReplica) as pool:
        pool.on_change.append(lambda: changes.append(pool.capacity))
        await until(lambda: pool.ready)
        with pool.acquire() as lease:
            os.kill(engine_pid(own), signal.SIGKILL)
            await until(lambda: changes == [3, 0])
            with pytest.raises(EngineFailed):
                await cast(fake_engine.ProbeClient, lease.engine).probe()
        await until(lambda: pool.ready)
        assert pool.status()[0].restarts == 1 and pool.status()[0].error == "The engine ended."
        with pool.acquire() as lease:
            await cast(fake_engine.ProbeClient, lease.engine).probe()
    assert changes == [3, 0, 3, 0]


async def test_a_silent_engine_does_not_serve_until_it_speaks_again(serve: Callable[..., Any]) -> None:
    patient = {"engine_silence_seconds": 60.0}
    async with AsyncExitStack() as stack:
        own = await stack.enter_async_context(serve(OWN, **patient))
        pool = await stack.enter_async_context(serve(AttachedReplica, engine_silence_seconds=0.2))
        await until(lambda: pool.ready)
        os.kill(engine_pid(own), signal.SIGSTOP)
        await until(lambda: not pool.ready)
        os.kill(engine_pid(own), signal.SIGCONT)
        await until(lambda: pool.ready)
        assert own.status()[0].restarts == 0


async def test_a_link_that_leads_nowhere_is_not_served(
    serve: Callable[..., Any], runtime: LocalRuntime, tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / f"{SNAPSHOT}.engine").symlink_to(tmp_path / "run" / "1-gone" / "engine.sock")
    async with serve(AttachedReplica) as pool:
        await asyncio.sleep(0.2)
        assert not pool.ready
        async with serve(OWN):
            await until(lambda: pool.ready)


async def test_what_an_engine_says_of_itself_is_kept_and_tried_again(serve: Callable[..., Any]) -> None:
    class Refusing(fake_engine.ProbeClient):
        async def probe(self) -> None:
            raise ConfigurationError("The model has no chat template")

    refusing = EngineKind(
        name="fake",
        task="chat",
        reads=frozenset({"gguf"}),
        command=fake_engine.kind().command,
        connect=lambda deployments, settings, socket: Refusing(socket),
    )
    async with serve(OWN), serve(AttachedReplica, refusing) as pool:
        await until(lambda: pool.status()[0].restarts == 2)
        assert pool.status()[0].error == "The model has no chat template" and not pool.ready

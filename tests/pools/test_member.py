"""One process for several deployments: what its pools see of it, from its own supervisor and from others."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

import fake_engine
from antiphon.address import Address
from antiphon.engines.base import EngineKind
from antiphon.errors import ConfigurationError, Unavailable
from antiphon.pools.member import UNUSABLE
from antiphon.pools.pools import Pools
from antiphon.pools.reports import Gateways, Told
from antiphon.settings import Settings
from antiphon.values import Deployment
from pools_house import attached, only, owned, pid, wired
from until import until

SLOTS = {"base": 3, "tiny": 2}
SHARED = fake_engine.kind(shared=True)
KINDS = {"fake": SHARED}


class Spoilt:
    """Finds the models with these names to be wrong; to be had anew, when `snapshots` changes."""

    def __init__(self, *snapshots: str) -> None:
        self.snapshots = set(snapshots)

    async def __call__(self, deployment: Deployment) -> None:
        if deployment.snapshot in self.snapshots:
            raise ConfigurationError(f"{deployment.snapshot} is not what it should be")


@pytest.fixture(autouse=True)
def nothing_left(tmp_path: Path) -> Iterator[None]:
    yield
    run = tmp_path / "run"
    assert not run.exists() or list(run.iterdir()) == []


@pytest.fixture
def serve(tmp_path: Path) -> Callable[..., Any]:
    """A context in which pools of both deployments run, and after which no task of theirs is left."""

    @asynccontextmanager
    async def serving(
        kinds: dict[str, EngineKind] = KINDS, told: Told | None = None, **options: Any
    ) -> AsyncIterator[Pools]:
        before = asyncio.all_tasks()
        if told is None:
            pools = owned(tmp_path, kinds, **options)
        else:
            pools = attached(tmp_path, kinds, told, **options)
        pools.follow(deployments(tmp_path))
        try:
            yield pools
        finally:
            async with asyncio.timeout(15):
                await pools.stop(1.0)
            left = asyncio.all_tasks() - before
            mine = "replica-" if told is None else "attachedreplica-"
            assert not {task for task in left if task.get_name().startswith(mine)}
            assert {only(pools, name).state for name in pools.status()} == {"stopped"}

    return serving


@pytest.fixture
def beside(serve: Callable[..., Any]) -> Callable[..., Any]:
    """Pools that run the engines, and others that use them."""

    @asynccontextmanager
    async def both(kinds: dict[str, EngineKind] = KINDS, **options: Any) -> AsyncIterator[Any]:
        gateways, told = Gateways(), Told()
        async with (
            serve(kinds, gateways=gateways, **options) as own,
            serve(kinds, told) as pools,
            wired(gateways, told, pools),
        ):
            yield own, pools

    return both


def deployments(folder: Path) -> list[Deployment]:
    return [
        Deployment(snapshot=name, task="chat", engine="fake", model=folder / name, slots=slots)
        for name, slots in SLOTS.items()
    ]


async def probed(pools: Pools, snapshot: str) -> None:
    """Return if the pool gives an engine that answers."""
    with pools.get(snapshot).acquire() as lease:
        await cast(fake_engine.ProbeClient, lease.engine).probe()


async def test_one_process_serves_every_deployment(serve: Callable[..., Any], tmp_path: Path) -> None:
    async with serve() as pools:
        await until(lambda: pools.ready)
        assert pid(pools, "base") == pid(pools, "tiny")
        assert {name: pools.get(name).capacity for name in SLOTS} == SLOTS
        await probed(pools, "base")
        await probed(pools, "tiny")


async def test_each_pool_counts_its_own_requests(serve: Callable[..., Any]) -> None:
    async with serve() as pools:
        await until(lambda: pools.ready)
        base, tiny = pools.get("base"), pools.get("tiny")
        with base.acquire() as first, base.acquire() as second, tiny.acquire() as third:
            assert first.engine is second.engine is third.engine
            assert (only(pools, "base").busy, only(pools, "tiny").busy) == (2, 1)
        assert (only(pools, "base").busy, only(pools, "tiny").busy) == (0, 0)


async def test_every_pool_is_told_when_the_process_ends_and_is_back(serve: Callable[..., Any]) -> None:
    told: list[tuple[str, int]] = []
    async with serve() as pools:
        for name in SLOTS:
            pool = pools.get(name)
            pool.on_change.append(lambda name=name, pool=pool: told.append((name, pool.capacity)))
        await until(lambda: pools.ready)
        os.kill(pid(pools, "base"), signal.SIGKILL)
        await until(lambda: only(pools, "tiny").restarts == 1 and pools.ready)
        assert (
            only(pools, "base").error == only(pools, "tiny").error == "The engine process ended by signal 9."
        )
    up, down = [("base", 3), ("tiny", 2)], [("base", 0), ("tiny", 0)]
    assert told == [*up, *down, *up, *down]


async def test_it_goes_on_without_a_wrong_model_and_takes_it_when_it_starts_anew(
    serve: Callable[..., Any],
) -> None:
    spoilt = Spoilt("base")
    async with serve(verify=spoilt) as pools:
        await until(lambda: pools.get("tiny").ready)
        await probed(pools, "tiny")
        base = only(pools, "base")
        assert (base.state, base.pid, base.error) == ("crashed", None, "base is not what it should be")
        assert (pools.ready, pools.get("base").capacity, only(pools, "tiny").error) == (False, 0, None)
        with pytest.raises(Unavailable), pools.get("base").acquire():
            pass
        spoilt.snapshots.clear()
        os.kill(pid(pools, "tiny"), signal.SIGKILL)
        await until(lambda: pools.ready)
        assert only(pools, "base").state == "ready"
        await probed(pools, "base")


async def test_both_go_on_without_a_model_that_the_engine_cannot_use(beside: Callable[..., Any]) -> None:
    unusable = {"base"}
    kinds = {"fake": fake_engine.kind(shared=True, unusable=unusable)}
    async with beside(kinds) as (own, others):
        for pools in (own, others):
            await until(lambda pools=pools: pools.get("tiny").ready)
            await probed(pools, "tiny")
            base = only(pools, "base")
            assert (base.state, base.pid, base.error) == ("crashed", None, UNUSABLE)
            assert (pools.ready, pools.get("base").capacity, only(pools, "tiny").error) == (False, 0, None)
        unusable.clear()
        os.kill(pid(own, "tiny"), signal.SIGKILL)
        await until(lambda: own.ready and others.ready)
        await probed(others, "base")


async def test_what_is_wrong_and_what_cannot_be_used_are_both_left_out(serve: Callable[..., Any]) -> None:
    kinds = {"fake": fake_engine.kind(shared=True, unusable=["tiny"])}
    async with serve(kinds, verify=Spoilt("base")) as pools:
        await until(lambda: only(pools, "tiny").error == UNUSABLE)
        assert only(pools, "base").error == "base is not what it should be"
        assert {only(pools, name).state for name in SLOTS} == {"crashed"}


async def test_without_a_sound_model_nothing_starts_and_each_pool_says_why(
    serve: Callable[..., Any], tmp_path: Path
) -> None:
    async with serve(verify=Spoilt(*SLOTS)) as pools:
        await until(lambda: only(pools, "tiny").restarts == 2)
        for name in SLOTS:
            status = only(pools, name)
            assert (status.error, status.pid) == (f"{name} is not what it should be", None)
        assert not pools.ready
    assert not (tmp_path / "run").exists()


async def test_the_engine_is_told_of_the_sound_deployments_only(serve: Callable[..., Any]) -> None:
    told: list[list[str]] = []

    def command(given: Sequence[Deployment], settings: Settings, address: Address) -> list[str]:
        told.append([deployment.snapshot for deployment in given])
        return SHARED.command(given, settings, address)

    def connect(given: Sequence[Deployment], settings: Settings, address: Address) -> Any:
        told.append([deployment.snapshot for deployment in given])
        return SHARED.connect(given, settings, address)

    kind = EngineKind(
        name="fake",
        task="chat",
        reads=frozenset({"gguf"}),
        shared=True,
        command=command,
        connect=connect,
    )
    async with serve({"fake": kind}, verify=Spoilt("tiny")) as pools:
        await until(lambda: pools.get("base").ready)
    assert told == [["base"], ["base"]]
    told.clear()
    async with serve({"fake": kind}) as pools:
        await until(lambda: pools.ready)
    assert told == [["base", "tiny"]] * 2


async def test_deployments_of_a_kind_that_is_not_shared_have_a_process_each(
    serve: Callable[..., Any],
) -> None:
    async with serve({"fake": fake_engine.kind()}) as pools:
        await until(lambda: pools.ready)
        os.kill(pid(pools, "base"), signal.SIGKILL)
        await until(lambda: only(pools, "base").restarts == 1 and pools.ready)
        assert only(pools, "tiny").restarts == 0 and pid(pools, "tiny") != pid(pools, "base")


async def test_others_attach_to_what_the_process_serves(beside: Callable[..., Any]) -> None:
    spoilt = Spoilt("tiny")
    async with beside(verify=spoilt) as (own, pools):
        await until(lambda: pools.get("base").ready)
        await probed(pools, "base")
        tiny = only(pools, "tiny")
        assert tiny.state == "crashed" and "without this model" in (tiny.error or "")
        assert (pools.get("base").capacity, pools.get("tiny").capacity) == (3, 0)
        spoilt.snapshots.clear()
        os.kill(pid(own, "base"), signal.SIGKILL)
        await until(lambda: pools.ready)
        assert only(pools, "tiny").error == only(pools, "base").error == "The engine ended."
        await probed(pools, "tiny")

"""Engine processes on a Ray cluster: what only that does. What every runtime does is in test_runtimes.py."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

import fake_engine
from antiphon.engines.upstream import Upstream
from antiphon.errors import ConfigurationError, EngineFailed
from antiphon.runtime import local
from antiphon.runtime.base import Process
from antiphon.runtime.ray import RayRuntime
from antiphon.runtime.ray_messages import LOST
from antiphon.values import NOTHING, Capacity
from antiphon.workers import vllm
from ray_cluster import ENVIRONMENT, RayCluster
from until import until

LEASE = 15.0
SOON = 20.0
OWNER = """
import asyncio, sys
import fake_engine
from antiphon.runtime.ray import RayRuntime

async def main():
    runtime = RayRuntime(sys.argv[1], lease=float(sys.argv[2]))
    process = await runtime.start("orphan", fake_engine.command)
    print(process.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.fixture
async def runtime(ray_cluster: RayCluster) -> AsyncIterator[RayRuntime]:
    runtime = RayRuntime(ray_cluster.address, lease=LEASE)
    yield runtime
    await runtime.close()


async def started(runtime: RayRuntime, cpus: float = 0) -> Process:
    needs = Capacity(cpus=round(cpus * 1000)) if cpus else NOTHING
    return await runtime.start("engine", fake_engine.command, needs)


async def answers(upstream: Upstream) -> bool:
    try:
        await upstream.get("/health")
    except EngineFailed:
        return False
    return True


def control() -> psutil.Process:
    """The process that speaks with Ray for this one."""
    [found] = [
        child for child in psutil.Process().children() if "antiphon.runtime.ray_control" in child.cmdline()
    ]
    return found


def gone(pid: int | None) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def environment(process: Process) -> dict[str, str]:
    told = Path(f"/proc/{process.pid}/environ").read_text().split("\0")
    return dict(variable.split("=", 1) for variable in told if variable)


async def missed(runtime: RayRuntime) -> None:
    """Return when Ray has given up a machine that was lost, so that it is nobody else's in another test."""
    async with asyncio.timeout(60):
        while len(await runtime.machines()) > 2:
            await asyncio.sleep(0.5)


async def test_what_is_reserved_is_nobody_elses(runtime: RayRuntime) -> None:
    first = await started(runtime, cpus=3)
    second = asyncio.create_task(started(runtime, cpus=2))
    await asyncio.sleep(3)
    assert not second.done(), "the cluster has 4 CPUs"
    await first.stop(0)
    async with asyncio.timeout(SOON):
        await (await second).stop(0)


async def test_the_machines_are_told_with_all_that_they_have(runtime: RayRuntime) -> None:
    found = await runtime.machines()
    assert sorted(machine.cpus for machine in found.values()) == [0, 4000]
    assert {machine.memory for machine in found.values() if machine.cpus} == {4 << 30}


async def test_an_engine_knows_no_secret_but_its_own(runtime: RayRuntime) -> None:
    process = await started(runtime, cpus=2)
    seen = environment(process)
    assert seen["ANTIPHON_ENGINE_SECRET"] == process.address.secret
    assert [name for name in seen if name.startswith("RAY_")] == ["RAY_AUTH_MODE"]
    assert ENVIRONMENT["RAY_AUTH_TOKEN"] not in seen.values()
    await process.stop(0)


@pytest.mark.parametrize("cpus", [0, 2])
async def test_it_computes_with_the_processors_that_are_reserved(runtime: RayRuntime, cpus: int) -> None:
    process = await started(runtime, cpus)
    assert environment(process).get("OMP_NUM_THREADS") == (str(cpus) if cpus else None)
    await process.stop(0)


async def test_the_loss_of_a_machine_is_told(runtime: RayRuntime, ray_cluster: RayCluster) -> None:
    node = ray_cluster.add(cpus=6)
    process = await started(runtime, cpus=5)  # which only the new node has
    ray_cluster.kill(node)
    async with asyncio.timeout(SOON):
        assert await process.wait() == LOST
        await until(lambda: gone(process.pid))
    assert await process.stop(1) == LOST
    await missed(runtime)


async def test_where_an_engine_was_lost_none_is_started(runtime: RayRuntime, ray_cluster: RayCluster) -> None:
    node = ray_cluster.add(cpus=4)
    engines = [await started(runtime, cpus=1), await started(runtime, cpus=1)]
    ray_cluster.kill(node)
    async with asyncio.timeout(3 * SOON):
        # Which of them it was is Ray's business; the one that takes its place is not lost again.
        await asyncio.wait(
            [asyncio.create_task(one.wait()) for one in engines], return_when="FIRST_COMPLETED"
        )
        engines.append(await started(runtime, cpus=1))
    alive = [one for one in engines if not gone(one.pid)]
    assert len(alive) == 2
    for one in alive:
        await one.stop(0)
    await missed(runtime)


async def test_engines_outlive_who_speaks_with_ray(runtime: RayRuntime) -> None:
    process = await started(runtime)
    upstream, before = Upstream(process.address), control()
    before.kill()
    await until(lambda: gone(before.pid))
    # Longer than the lease, which another process renews.
    await asyncio.sleep(1.5 * LEASE)
    assert await answers(upstream) and control() != before
    assert await process.stop(5) != LOST, "it ended as it was asked to"
    await until(lambda: gone(process.pid))


async def test_whose_owner_is_lost_ends_with_its_lease(runtime: RayRuntime, ray_cluster: RayCluster) -> None:
    owner = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OWNER, ray_cluster.address, str(LEASE),
        stdout=asyncio.subprocess.PIPE, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert owner.stdout is not None
    pid = int(await owner.stdout.readline())
    assert not gone(pid)
    os.kill(owner.pid, signal.SIGKILL)
    await owner.communicate()
    await until(lambda: gone(pid), LEASE + SOON)


async def test_a_start_that_is_given_up_reserves_nothing(runtime: RayRuntime) -> None:
    occupying = await started(runtime, cpus=4)
    waiting = asyncio.create_task(started(runtime, cpus=4))
    await asyncio.sleep(1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await occupying.stop(0)
    async with asyncio.timeout(SOON):
        await (await started(runtime, cpus=4)).stop(0)


async def test_without_a_cluster_it_says_so() -> None:
    runtime = RayRuntime("127.0.0.1:1")
    with pytest.raises(ConfigurationError, match=r"No Ray cluster lets us in at '127\.0\.0\.1:1'"):
        await started(runtime)
    await runtime.close()


async def test_a_vllm_that_computes_on_the_cluster_joins_it_with_the_token_of_a_file(
    ray_cluster: RayCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tmp_path / "token"
    token.write_text(os.environ["RAY_AUTH_TOKEN"])
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    code = (
        f"import ray; ray.init(address={ray_cluster.address!r}, log_to_driver=False); print(len(ray.nodes()))"
    )
    joined = {}
    for path in (token, tmp_path / "missing"):
        monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(path))
        told = vllm.environment(tmp_path / "home", ray_cluster.address, local.environment(tmp_path))
        asking = [sys.executable, "-c", code]
        done = await asyncio.to_thread(subprocess.run, asking, env=told, capture_output=True, timeout=60)
        joined[path.name] = done.returncode == 0 and int(done.stdout) >= 2
    assert joined == {"token": True, "missing": False}


@pytest.mark.requirement("R20")
@pytest.mark.parametrize("token", ["", "ffffffffffffffffffffffffffffffff"])
async def test_without_the_token_nobody_joins(
    ray_cluster: RayCluster, token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RAY_AUTH_MODE")
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    if token:
        monkeypatch.setenv("RAY_AUTH_TOKEN", token)
    runtime = RayRuntime(ray_cluster.address)
    with pytest.raises(ConfigurationError, match="No Ray cluster lets us in") as refused:
        await started(runtime)
    assert "token" in refused.value.fix
    await runtime.close()

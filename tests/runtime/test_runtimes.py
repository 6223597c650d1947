"""What every runtime does, with real processes of fake engines."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

import fake_engine
from antiphon.engines.upstream import Upstream
from antiphon.errors import EngineFailed
from antiphon.runtime.base import Process, Runtime
from antiphon.runtime.local import LocalRuntime
from antiphon.runtime.ray import RayRuntime
from until import until

Start = Callable[..., Process]


@pytest.fixture(params=["sockets", "tcp", "ray"])
async def runtime(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Runtime]:
    if request.param == "ray":
        started: Runtime = RayRuntime(request.getfixturevalue("ray_cluster").address)
    else:
        host = "127.0.0.1" if request.param == "tcp" else ""
        started = LocalRuntime(tmp_path / "run", tmp_path / "logs", host)
    yield started
    await started.close()


async def started(runtime: Runtime, **options: object) -> Process:
    return await runtime.start("engine", lambda address: fake_engine.command(address, **options))


async def answers(upstream: Upstream) -> bool:
    try:
        await upstream.get("/health")
    except EngineFailed:
        return False
    return True


async def reached(process: Process) -> Upstream:
    upstream = Upstream(process.address)
    async with asyncio.timeout(20):
        while not await answers(upstream):
            await asyncio.sleep(0.05)
    return upstream


def alive(pid: int | None) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")")[1].split()[0] != "Z"
    except OSError:
        return False


async def test_a_process_is_reached_at_its_address_until_it_is_ended(runtime: Runtime) -> None:
    process = await started(runtime)
    upstream = await reached(process)
    assert alive(process.pid)
    assert await process.stop(5) != 0
    assert not alive(process.pid) and not await answers(upstream)
    assert await process.stop(0) == await process.wait()


@pytest.mark.requirement("R20")
async def test_nobody_without_the_secret_is_answered(runtime: Runtime) -> None:
    process = await started(runtime)
    await reached(process)
    if process.address.secret:
        for secret in ("", "wrong"):
            assert not await answers(Upstream(replace(process.address, secret=secret)))
    else:
        assert Path(process.address.path).parent.stat().st_mode & 0o077 == 0
    await process.stop(0)


async def test_each_has_an_address_of_its_own(runtime: Runtime) -> None:
    first, second = await started(runtime), await started(runtime)
    for process in (first, second):
        await reached(process)
    assert first.address != second.address
    await first.stop(0)
    assert await answers(Upstream(second.address))
    await second.stop(0)


async def test_its_end_is_told_with_its_exit_code(runtime: Runtime) -> None:
    assert await (await started(runtime, exit=7)).wait() == 7
    process = await started(runtime)
    await reached(process)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    async with asyncio.timeout(10):
        assert await process.wait() == -signal.SIGKILL


async def test_a_frozen_one_is_ended(runtime: Runtime) -> None:
    process = await started(runtime)
    await reached(process)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGSTOP)
    async with asyncio.timeout(10):
        assert await process.stop(0.1) < 0
    await until(lambda: not alive(process.pid))


async def test_what_cannot_be_started_is_told(runtime: Runtime) -> None:
    with pytest.raises(OSError):
        await runtime.start("engine", lambda address: ["/nowhere/engine"])


async def test_a_start_that_is_given_up_leaves_nothing(runtime: Runtime) -> None:
    seen: list[str] = []

    def command(address: object) -> list[str]:
        seen.append(str(address))
        return fake_engine.command(address)  # type: ignore[arg-type]

    starting = asyncio.create_task(runtime.start("engine", command))
    await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    await asyncio.sleep(0.2)
    running = await asyncio.create_subprocess_exec("ps", "-eo", "args", stdout=asyncio.subprocess.PIPE)
    told = (await running.communicate())[0].decode()
    assert not any(address in told for address in seen)


async def test_it_knows_what_there_is(runtime: Runtime) -> None:
    there = await runtime.machines()
    assert any(one.cpus >= 1000 for one in there.values())
    assert any(one.memory > 2**28 for one in there.values())

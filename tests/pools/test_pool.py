"""Supervision of real processes: crashes, silence, slow starts, loops; and the leases."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

import fake_engine
from antiphon.address import Address
from antiphon.breaker import Breaker
from antiphon.engines.base import EngineKind
from antiphon.errors import ConfigurationError, EngineFailed, InvalidRequest, RequestTimeout, Unavailable
from antiphon.pools.member import Serving
from antiphon.pools.pool import Place, Pool
from antiphon.pools.pools import Pools
from antiphon.settings import Settings
from antiphon.values import Capacity, Deployment
from pools_house import only, owned
from until import until


@pytest.fixture(autouse=True)
def nothing_left(tmp_path: Path) -> Iterator[None]:
    yield
    run = tmp_path / "run"
    assert not run.exists() or list(run.iterdir()) == []


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return Deployment(snapshot="fake-2024", task="chat", engine="fake", model=tmp_path / "m.gguf", slots=3)


@pytest.fixture
def serve(deployment: Deployment, tmp_path: Path) -> Callable[..., Any]:
    """A context in which pools run `kind`, and after which nothing of them may be left."""

    @asynccontextmanager
    async def serving(kind: EngineKind, **options: Any) -> AsyncIterator[Pools]:
        before = asyncio.all_tasks()
        pools = owned(tmp_path, {"fake": kind}, **options)
        pools.follow([deployment])
        try:
            yield pools
        finally:
            async with asyncio.timeout(15):
                await pools.stop(1.0)
            assert asyncio.all_tasks() == before
            status = only(pools, "fake-2024")
            assert (status.state, status.pid) == ("stopped", None)

    return serving


def pid(pool: Pool) -> int:
    [status] = pool.status()
    assert status.pid is not None
    return status.pid


def client(lease: Any) -> fake_engine.ProbeClient:
    return cast(fake_engine.ProbeClient, lease.engine)


async def test_a_pool_is_ready_when_its_engine_answers(serve: Callable[..., Any]) -> None:
    async with serve(fake_engine.kind(ready_after=0.5)) as pools:
        pool = pools.get("fake-2024")
        changes: list[int] = []
        pool.on_change.append(lambda: changes.append(pool.capacity))
        assert (pool.ready, pools.ready, pool.capacity) == (False, False, 0)
        with pytest.raises(Unavailable) as refused, pool.acquire():
            pass
        assert refused.value.retry_after == 2.0
        began = time.time()
        await until(lambda: pool.ready)
        assert changes == [3]
        assert pools.ready
        [status] = pool.status()
        assert (status.state, status.restarts, status.error) == ("ready", 0, None)
        assert began <= status.since <= time.time()
    assert changes == [3, 0]


async def test_a_lease_gives_the_engine_and_counts(serve: Callable[..., Any]) -> None:
    async with serve(fake_engine.kind()) as pools:
        pool = pools.get("fake-2024")
        await until(lambda: pool.ready)
        with pool.acquire() as first, pool.acquire():
            await client(first).probe()
            assert pool.status()[0].busy == 2
        assert pool.status()[0].busy == 0
        with pytest.raises(ZeroDivisionError), pool.acquire():
            raise ZeroDivisionError
        assert pool.status()[0].busy == 0


async def test_a_killed_engine_fails_its_requests_and_is_back_at_once(serve: Callable[..., Any]) -> None:
    async with serve(fake_engine.kind(tokens=10_000, token_delay=0.01)) as pools:
        pool = pools.get("fake-2024")
        await until(lambda: pool.ready)
        killed = pid(pool)
        began = time.monotonic()
        with pool.acquire() as lease:
            batches = client(lease).upstream.batches("/completion", {"prompt": [1], "n_predict": -1})
            with pytest.raises(EngineFailed):
                async for batch in batches:
                    if json.loads(batch[-1])["tokens_predicted"] >= 3:
                        os.kill(killed, signal.SIGKILL)
            assert time.monotonic() - began < 2
        await until(lambda: not pool.ready, 2)
        await until(lambda: pool.ready, 10)
        [status] = pool.status()
        assert (status.restarts, status.error, status.busy) == (1, "The engine process ended by signal 9.", 0)
        assert status.pid != killed
        with pool.acquire() as lease:
            await client(lease).probe()


@pytest.mark.fault("an engine freezes")
async def test_a_frozen_engine_is_ejected(serve: Callable[..., Any]) -> None:
    async with serve(fake_engine.kind(), engine_silence_seconds=0.5) as pools:
        pool = pools.get("fake-2024")
        await until(lambda: pool.ready)
        frozen = pid(pool)
        os.kill(frozen, signal.SIGSTOP)
        await until(lambda: not pool.ready, 5)
        await until(lambda: pool.ready, 10)
        assert pid(pool) != frozen
        assert pool.status()[0].error == "The engine did not answer for 0.5 s."
        with pytest.raises(ProcessLookupError):
            os.kill(frozen, 0)


@pytest.mark.fault("an engine freezes under a request")
async def test_a_request_in_a_frozen_engine_fails_when_it_is_ejected(serve: Callable[..., Any]) -> None:
    async with serve(fake_engine.kind(tokens=10_000, token_delay=0.01), engine_silence_seconds=0.5) as pools:
        pool = pools.get("fake-2024")
        await until(lambda: pool.ready)
        with pool.acquire() as lease:
            batches = client(lease).upstream.batches("/completion", {"prompt": [1], "n_predict": -1})
            async with asyncio.timeout(10):
                with pytest.raises(EngineFailed):
                    async for batch in batches:
                        if json.loads(batch[-1])["tokens_predicted"] >= 3:
                            os.kill(pid(pool), signal.SIGSTOP)


@pytest.mark.fault("an engine runs out of memory")
async def test_an_engine_that_takes_all_memory_is_ended_by_the_system_and_nobody_else(
    serve: Callable[..., Any], tmp_path: Path
) -> None:
    with memory_group(64 << 20) as group:
        async with serve(fake_engine.kind(fault="memory", after=2)) as pools:
            pool = pools.get("fake-2024")
            await until(lambda: pool.ready)
            first = pid(pool)
            group.write_text(str(first))
            with pool.acquire() as lease:
                batches = client(lease).upstream.batches("/completion", {"prompt": [1], "n_predict": -1})
                async with asyncio.timeout(20):
                    with pytest.raises(EngineFailed):
                        async for _ in batches:
                            pass
            await until(lambda: pool.ready and pid(pool) != first, 10)
            assert pool.status()[0].error == "The engine process ended by signal 9."


@contextmanager
def memory_group(size: int) -> Iterator[Path]:
    """Where to write the id of a process that may have so many bytes; skips where there can be none."""
    root = Path("/sys/fs/cgroup")
    one = (root / "memory/memory.limit_in_bytes").exists()
    folder = (root / "memory" if one else root) / f"antiphon-test-{os.getpid()}"
    try:
        folder.mkdir()
        (folder / ("memory.limit_in_bytes" if one else "memory.max")).write_text(str(size))
    except OSError as problem:
        with suppress(OSError):
            folder.rmdir()
        pytest.skip(f"no control group can be made here: {problem}")
    yield folder / "cgroup.procs"
    folder.rmdir()


async def test_one_that_never_becomes_ready_is_given_up_and_tried_again(serve: Callable[..., Any]) -> None:
    async with serve(fake_engine.kind(ready_after="inf"), engine_start_seconds=0.5) as pools:
        pool = pools.get("fake-2024")
        await until(lambda: pool.status()[0].restarts == 2)
        assert pool.status()[0].error == "The engine did not become ready within 0.5 s."
        assert not pool.ready


async def test_a_crash_loop_backs_off_and_is_reported(
    serve: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="antiphon.pools"):
        async with serve(fake_engine.kind(exit=4)) as pools:
            pool = pools.get("fake-2024")
            await until(lambda: pool.status()[0].restarts == 4)
    waits = [r.args[2] for r in caplog.records if r.args and "ended" in r.message]
    assert waits[:4] == [0.05, 0.1, 0.2, 0.2]
    assert all("The engine process ended with exit code 4." in r.message for r in caplog.records)
    assert pool.status()[0].error == "The engine process ended with exit code 4."


async def test_one_that_crashes_soon_after_it_was_ready_backs_off(
    serve: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    async with serve(fake_engine.kind()) as pools:
        pool = pools.get("fake-2024")
        for restarts in (0, 1):
            await until(lambda n=restarts: pool.ready and pool.status()[0].restarts == n)
            os.kill(pid(pool), signal.SIGKILL)
        await until(lambda: pool.status()[0].restarts == 2)
    waits = [r.args[2] for r in caplog.records if r.args and "ended" in r.message]
    assert waits[:2] == [0.0, 0.05]


async def test_a_wrong_model_is_never_started(serve: Callable[..., Any], tmp_path: Path) -> None:
    async def wrong(deployment: Deployment) -> None:
        raise ConfigurationError("The model's file is not what it should be", fix="fetch it again")

    async with serve(fake_engine.kind(), verify=wrong) as pools:
        await until(lambda: pools.status()["fake-2024"][0].restarts == 2)
        [status] = pools.status()["fake-2024"]
        assert (status.error, status.pid) == ("The model's file is not what it should be", None)
    assert not (tmp_path / "run").exists()


@pytest.mark.requirement("R17")
async def test_the_model_is_verified_before_every_start(
    serve: Callable[..., Any], deployment: Deployment
) -> None:
    verified: list[Deployment] = []

    async def verify(deployment: Deployment) -> None:
        verified.append(deployment)

    async with serve(fake_engine.kind(exit=1), verify=verify) as pools:
        await until(lambda: pools.status()["fake-2024"][0].restarts == 2)
    assert verified[:3] == [deployment] * 3


async def test_what_nobody_foresaw_is_logged_and_the_replica_lives_on(
    serve: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    times = 0

    async def verify(deployment: Deployment) -> None:
        nonlocal times
        times += 1
        if times == 1:
            raise RuntimeError("inner detail")

    async with serve(fake_engine.kind(), verify=verify) as pools:
        pool = pools.get("fake-2024")
        await until(lambda: pool.ready)
        assert pool.status()[0].error == "The engine could not be used (RuntimeError)."
    assert any(r.exc_info and "inner detail" in str(r.exc_info[1]) for r in caplog.records)


async def test_an_engine_that_cannot_be_started_is_reported(serve: Callable[..., Any]) -> None:
    kind = EngineKind(
        name="fake",
        task="chat",
        reads=frozenset({"gguf"}),
        command=lambda deployments, settings, address: ["/nowhere/engine"],
        connect=fake_engine.kind().connect,
    )
    async with serve(kind) as pools:
        await until(lambda: pools.status()["fake-2024"][0].restarts == 1)
        text = "The engine process could not be started (No such file or directory)."
        assert pools.status()["fake-2024"][0].error == text


@pytest.mark.parametrize(("cpus", "threads"), [(0, 7), (500, 7), (3500, 3)])
async def test_an_engine_has_as_many_threads_as_processors_are_reserved(
    deployment: Deployment, tmp_path: Path, cpus: int, threads: int
) -> None:
    fake, told = fake_engine.kind(), []

    def command(deployments: Any, settings: Settings, address: Address) -> list[str]:
        told.append(settings.cores)
        return fake.command(deployments, settings, address)

    pools = owned(tmp_path, {"fake": msgspec.structs.replace(fake, command=command)}, threads=7)
    pools.follow([msgspec.structs.replace(deployment, needs=Capacity(cpus=cpus))])
    await until(lambda: pools.ready)
    await pools.stop(1.0)
    assert told == [threads]


@pytest.mark.parametrize("delay", [0.0, 0.005, 0.05, 0.2, 0.4, 0.6])
async def test_stopping_at_any_moment_leaves_nothing(serve: Callable[..., Any], delay: float) -> None:
    async with serve(fake_engine.kind(lifetime=0.1)):
        await asyncio.sleep(delay)


async def test_a_stop_during_the_clean_up_of_a_crash_waits_for_it(serve: Callable[..., Any]) -> None:
    closing, closed = asyncio.Event(), asyncio.Event()

    class SlowToClose(fake_engine.ProbeClient):
        async def close(self) -> None:
            closing.set()
            await asyncio.sleep(0.2)
            await super().close()
            closed.set()

    kind = EngineKind(
        name="fake",
        task="chat",
        reads=frozenset({"gguf"}),
        command=fake_engine.kind().command,
        connect=lambda deployments, settings, address: SlowToClose(address),
    )
    async with serve(kind) as pools:
        pool = pools.get("fake-2024")
        await until(lambda: pool.ready)
        os.kill(pid(pool), signal.SIGKILL)
        await closing.wait()
    assert closed.is_set()


@pytest.mark.parametrize(
    ("tokens", "places"), [(1, 1), (512, 1), (513, 2), (2048, 4), (9999, 4)], ids=lambda value: str(value)
)
def test_a_slot_of_a_shared_cache_is_a_part_of_it(tmp_path: Path, tokens: int, places: int) -> None:
    served = Deployment(snapshot="m", task="chat", engine="fake", model=tmp_path, context=2048, slots=8)
    shares = msgspec.structs.replace(fake_engine.kind(), cache=lambda deployment: 4096)
    assert Pool(served, shares).weight(tokens) == places
    assert Pool(served, fake_engine.kind()).weight(tokens) == 1, "each has a whole context"


def two(tmp_path: Path) -> tuple[Pool, Serving]:
    """A pool of two engines, without processes, and the one that is asked first."""
    served = Deployment(snapshot="m", task="chat", engine="fake", model=tmp_path, slots=8)
    pool, nothing = Pool(served, fake_engine.kind()), cast(Any, None)
    both = [Serving(nothing, served, 8, breaker=Breaker(seconds=0.2)) for _ in range(2)]
    for one in both:
        member = cast(Any, SimpleNamespace(serving=lambda snapshot, one=one: one, retiring=False))
        pool.places.append(Place(member, nothing, "g"))
    return pool, both[0]


async def fail(pool: Pool) -> None:
    with suppress(EngineFailed), pool.acquire("home"):
        raise EngineFailed("It broke off.")


async def hang(pool: Pool, *, answered: bool = False) -> None:
    """Until it is too late."""
    with suppress(TimeoutError):
        async with asyncio.timeout(0.01) as deadline:
            with pool.acquire("home", deadline=deadline) as lease:
                lease.answered = answered
                await asyncio.Event().wait()


async def leave(pool: Pool) -> Serving:
    """As a client that goes away; which engine it had."""
    asking = asyncio.current_task()
    assert asking is not None
    with suppress(asyncio.CancelledError):
        async with asyncio.timeout(60) as deadline:
            with pool.acquire("home", deadline=deadline) as lease:
                asking.cancel()
                await asyncio.sleep(1)
    asking.uncancel()
    return lease.serving


async def test_one_that_is_silent_until_it_is_too_late_is_left_out(tmp_path: Path) -> None:
    pool, first = two(tmp_path)
    for _ in range(3):
        assert not first.breaker.open
        await hang(pool)
    assert first.breaker.open
    with pool.acquire("home") as lease:
        assert lease.serving is not first


async def test_what_takes_too_long_once_it_is_being_answered_is_no_failure(tmp_path: Path) -> None:
    pool, first = two(tmp_path)
    for _ in range(4):
        await hang(pool, answered=True)
    assert not first.breaker.open


async def test_what_the_caller_found_too_slow_is_a_failure(tmp_path: Path) -> None:
    pool, first = two(tmp_path)
    for _ in range(3):
        with pytest.raises(RequestTimeout), pool.acquire("home"):
            raise RequestTimeout("Reading the recording took too long.")
    assert first.breaker.open


async def test_who_leaves_or_is_at_fault_says_nothing_of_the_engine(tmp_path: Path) -> None:
    pool, first = two(tmp_path)
    for _ in range(2):
        await fail(pool)
    for _ in range(3):
        assert await leave(pool) is first
        with suppress(InvalidRequest), pool.acquire("home"):
            raise InvalidRequest("Too long.")
    assert not first.breaker.open
    await fail(pool)
    assert first.breaker.open, "the failures before were not forgotten"
    await asyncio.sleep(0.25)
    for _ in range(3):
        assert await leave(pool) is first, "who was to find out did not: the next one does"
    with pool.acquire() as lease:
        assert lease.serving is first
    assert not first.breaker.open

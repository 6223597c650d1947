"""The real chat engine process with the bundled model."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from antiphon.address import Address
from antiphon.engines import kinds
from antiphon.engines.upstream import Upstream
from antiphon.errors import EngineFailed
from antiphon.pools.policy import Pace
from antiphon.runtime.base import Process
from antiphon.runtime.local import LocalRuntime
from antiphon.settings import Settings
from antiphon.values import Deployment, Pooling
from antiphon.workers.llama import batch, parameters
from pools_house import owned
from until import until

CONTEXT, SLOTS = 1024, 2
WORD = 19556
"""A token of the model's."""


@pytest.fixture
def runtime(tmp_path: Path) -> LocalRuntime:
    return LocalRuntime(tmp_path / "run", tmp_path / "logs")


@pytest.fixture
def deployment(smollm2: Path) -> Deployment:
    return Deployment(
        snapshot="smollm2", task="chat", engine="llama", model=smollm2, context=CONTEXT, slots=SLOTS
    )


@pytest.fixture
async def process(runtime: LocalRuntime, deployment: Deployment) -> AsyncIterator[Process]:
    command = kinds()["llama"].command
    process = await runtime.start("llama", lambda address: command([deployment], Settings(), address))
    yield process
    assert await process.stop(5) == -signal.SIGTERM


@pytest.fixture
async def engine(process: Process) -> AsyncIterator[Upstream]:
    engine = Upstream(process.address)
    async with asyncio.timeout(60):
        while True:
            try:
                await engine.get("/health")
                break
            except EngineFailed:
                await asyncio.sleep(0.05)
    yield engine
    await engine.close()


async def complete(address: Address, prompt: list[int]) -> dict[str, Any]:
    """The last frame of an answer, on a connection of its own."""
    engine = Upstream(address)
    body = {"prompt": prompt, "n_predict": 2, "stream": True, "temperature": 0.0}
    try:
        events = [json.loads(event) async for batch in engine.batches("/completion", body) for event in batch]
    finally:
        await engine.close()
    return dict(events[-1])


async def busy(engine: Upstream) -> int:
    """Slots in use. `/slots` shows the last step: the other request waits for one to end."""
    await engine.get("/lora-adapters")
    return sum(slot["is_processing"] for slot in json.loads(await engine.get("/slots")))


async def counted(engine: Upstream, name: str) -> int:
    """A counter of the engine's. `/metrics` shows the last step, as `/slots` does."""
    await engine.get("/lora-adapters")
    lines = (await engine.get("/metrics")).decode().splitlines()
    return int(dict(line.split()[:2] for line in lines)[name])


async def test_every_slot_has_the_whole_context(engine: Upstream, process: Process) -> None:
    slots = json.loads(await engine.get("/slots"))
    assert [slot["n_ctx"] for slot in slots] == [CONTEXT] * SLOTS
    last = await complete(process.address, [WORD] * (CONTEXT - 2))
    assert (last["tokens_evaluated"], last["tokens_predicted"]) == (CONTEXT - 2, 2)


@pytest.mark.usefixtures("engine")
async def test_nothing_is_kept_from_one_request_to_the_next(process: Process) -> None:
    for _ in range(SLOTS + 1):
        assert (await complete(process.address, [WORD] * 64))["timings"]["cache_n"] == 0


async def test_no_prompt_is_logged(engine: Upstream, process: Process, tmp_path: Path) -> None:
    canary = json.loads(await engine.post("/tokenize", {"content": "canary-7421 sings"}))["tokens"]
    await complete(process.address, canary)
    with pytest.raises(EngineFailed):
        await engine.post("/completion", {"prompt": "canary-7421 sings", "n_probs": "wrong"})
    logged = tmp_path / "logs" / "llama.log"
    assert not logged.exists() or b"7421" not in logged.read_bytes()


async def test_a_cancelled_prompt_frees_its_slot_before_its_end(engine: Upstream, process: Process) -> None:
    prompt = {
        "prompt": [WORD] * (CONTEXT - 100),
        "n_predict": 100,
        "stream": True,
        "return_progress": True,  # as the engine client asks: writing it is how a lost client is noticed
    }

    async def ask() -> None:
        async with aclosing(engine.batches("/completion", prompt)) as batches:
            async for _ in batches:
                pass

    running = asyncio.create_task(ask())
    async with asyncio.timeout(30):
        while not await busy(engine):
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait({running})
    async with asyncio.timeout(15):
        while await busy(engine):
            await asyncio.sleep(0.01)
    # The engine may count nothing of a prompt it gave up, so a short one shows that it counts at all.
    await complete(process.address, [WORD] * 64)
    async with asyncio.timeout(15):
        while not (evaluated := await counted(engine, "llamacpp:prompt_tokens_total")):
            await asyncio.sleep(0.01)
    assert evaluated < CONTEXT - 100


async def test_waiting_requests_leave_room_for_a_probe(engine: Upstream) -> None:
    """As many as admission ever lets in: eight choices for each slot."""
    body = {"prompt": [WORD], "n_predict": 500, "stream": True, "ignore_eos": True}
    waiting = [
        asyncio.create_task(engine.post("/completion", body | {"stream": False})) for _ in range(8 * SLOTS)
    ]
    try:
        async with asyncio.timeout(30):
            while await busy(engine) < SLOTS:
                await asyncio.sleep(0.01)
        async with asyncio.timeout(10):
            await engine.get("/lora-adapters")
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)


@pytest.mark.parametrize(
    ("model_bytes", "tokens"), [(1, 128), (100_000_000, 128), (1_000_000_000, 34), (70_000_000_000, 32)]
)
def test_the_larger_the_model_the_fewer_tokens_a_step(model_bytes: int, tokens: int) -> None:
    assert batch(model_bytes) == tokens


@pytest.mark.parametrize(("pooling", "step"), [(None, 128), ("last", 128), ("mean", 4096), ("cls", 4096)])
def test_a_step_takes_a_whole_text_where_all_its_tokens_are_looked_at_together(
    smollm2: Path, tmp_path: Path, pooling: Pooling | None, step: int
) -> None:
    params = parameters(Address(path=str(tmp_path / "s")), smollm2, 4096, 2, 1, pooling)
    assert (params.n_ubatch, params.n_batch, params.embedding) == (step, step, pooling is not None)


async def test_a_missing_model_ends_the_process(runtime: LocalRuntime, deployment: Deployment) -> None:
    command = kinds()["llama"].command
    process = await runtime.start(
        "llama",
        lambda s: command([Deployment(**_fields(deployment, model=Path("/nowhere.gguf")))], Settings(), s),
    )
    async with asyncio.timeout(30):
        assert await process.wait() == 1


def _fields(deployment: Deployment, **changed: Any) -> dict[str, Any]:
    return {name: getattr(deployment, name) for name in deployment.__struct_fields__} | changed


async def test_a_killed_engine_serves_again_within_ten_seconds(
    deployment: Deployment, tmp_path: Path
) -> None:
    pools = owned(tmp_path, kinds(), pace=Pace())
    pools.follow([deployment])
    try:
        pool = pools.get("smollm2")
        await until(lambda: pool.ready, 60)
        [before] = pool.status()
        assert before.pid is not None
        os.kill(before.pid, signal.SIGKILL)
        await until(lambda: not pool.ready, 2)
        await until(lambda: pool.ready, 10)
        assert pool.status()[0].restarts == 1
    finally:
        await pools.stop(2)
    assert list((tmp_path / "run").iterdir()) == []

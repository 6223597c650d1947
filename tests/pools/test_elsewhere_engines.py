"""Pools of engines that others run: found, followed, left out while they are away, and told to gateways."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from antiphon.engines import openai
from antiphon.engines.base import ChatEngine, EngineKind
from antiphon.errors import EngineFailed, Unavailable
from antiphon.inference.attempts import attempted
from antiphon.pools.demand import Demand, Keeper
from antiphon.pools.member import Member
from antiphon.pools.plan import Unit
from antiphon.pools.policy import Pace
from antiphon.pools.pools import Pools
from antiphon.pools.replica import Replica
from antiphon.pools.reports import Engines, Gateways, Told
from antiphon.runtime.elsewhere import Elsewhere
from antiphon.settings import Settings
from antiphon.values import Delta, Deployment, Usage
from chat_engines import job
from fake_openai import KEY, FakeOpenAI, deployment, served
from pools_house import attached, fine, only, wired
from servers import free_port
from until import until

PACE = Pace(probe=0.05, retry=0.02, far=True, backoff=0.05, backoff_max=0.2)
KINDS = {"openai": openai.ENGINE}


@asynccontextmanager
async def following(
    *deployments: Deployment, gateways: Gateways | None = None, **settings: Any
) -> AsyncIterator[Pools]:
    """Pools of what is served at the URLs of deployments, all of which are allowed."""
    urls = [url.removesuffix("/v1") for one in deployments if one.site for url in one.site.urls]
    chosen = Settings(upstreams=" ".join(urls), **settings)
    told = gateways or Gateways()

    def make(unit: Unit, kind: EngineKind, changed: Callable[[], None]) -> tuple[Member, Keeper]:
        assert kind.reached is not None
        place = Elsewhere(partial(kind.reached, unit.deployments[0], unit.replica, chosen))
        replica = Replica(unit, kind, changed, settings=chosen, runtime=place, verify=fine, pace=PACE)
        return replica, Demand(replica, lambda: replica.busy, 60.0)

    pools = Pools(KINDS, make, in_use=told.use)
    pools.on_pool.append(lambda pool: pool.on_change.append(lambda: told.tell(Engines(pools.reports()))))
    pools.follow(deployments)
    try:
        yield pools
    finally:
        await pools.stop(1.0)


@pytest.fixture
def key(tmp_path: Path) -> str:
    path = tmp_path / "key"
    path.write_text(KEY)
    return str(path)


def at(*ports: int, key: str, **given: Any) -> Deployment:
    replicas = {"replicas": len(ports), "most_replicas": len(ports)}
    return deployment(*(f"http://127.0.0.1:{port}/v1" for port in ports), key_file=key, **replicas, **given)


async def asked(pools: Pools) -> list[Delta | Usage]:
    """An answer, tried as a request's conductor does."""
    pool = pools.get("m")
    with pool.acquire() as lease:
        prompt = await cast(ChatEngine, lease.engine).prepare(job().messages)
        async with aclosing(attempted(pool, lease, lambda engine: engine.chat(job(), prompt))) as pieces:
            return [piece async for piece in pieces]


async def test_it_is_ready_while_it_answers(key: str) -> None:
    port, fake = free_port(), FakeOpenAI()
    async with following(at(port, key=key)) as pools:
        assert not pools.ready
        async with served(fake, port):
            await until(lambda: pools.ready)
            assert isinstance((await asked(pools))[-1], Usage) and only(pools, "m").pid is None
            assert pools.get("m").capacity == 4
        await until(lambda: not pools.ready)
        with pytest.raises(Unavailable):
            await asked(pools)
        async with served(fake, port):
            await until(lambda: pools.ready)
            assert isinstance((await asked(pools))[-1], Usage)
    assert not [task for task in asyncio.all_tasks() if "replica" in task.get_name()]


@pytest.mark.fault("an upstream says nothing more")
async def test_one_that_is_silent_is_left_and_what_ran_there_ends(key: str) -> None:
    fake = FakeOpenAI()
    fake.fault = "hang"
    async with served(fake) as port, following(at(port, key=key), engine_silence_seconds=0.3) as pools:
        await until(lambda: pools.ready)
        asking = asyncio.create_task(asked(pools))
        await until(lambda: fake.running == 1)
        fake.silent = True
        await until(lambda: only(pools, "m").state in ("ejected", "backoff", "starting"))
        with pytest.raises(EngineFailed):
            await asking
        fake.silent = False
        await until(lambda: pools.ready)


async def test_one_that_has_no_time_for_probes_goes_on_with_what_it_has(key: str) -> None:
    fake = FakeOpenAI()
    fake.fault = "hang"
    async with served(fake) as port, following(at(port, key=key)) as pools:
        await until(lambda: pools.ready)
        asking = asyncio.create_task(asked(pools))
        await until(lambda: fake.running == 1)
        fake.crowded, before = True, len(fake.asked)
        await until(lambda: len(fake.asked) > before + 8)
        assert fake.running == 1 and pools.ready and only(pools, "m").restarts == 0
        asking.cancel()


async def test_what_the_operator_has_to_mend_is_told_and_found_mended(key: str) -> None:
    fake = FakeOpenAI()
    fake.key = "another"
    async with served(fake) as port, following(at(port, key=key)) as pools:
        await until(lambda: "401" in (only(pools, "m").error or ""))
        assert not pools.ready and KEY not in str(only(pools, "m"))
        await asyncio.to_thread(Path(key).write_text, "another")
        await until(lambda: pools.ready)


async def test_a_key_may_be_replaced_while_it_runs(key: str) -> None:
    """Also of a server that tells anybody that it is well."""
    fake = FakeOpenAI("vllm")
    async with served(fake) as port, following(at(port, key=key)) as pools:
        await until(lambda: pools.ready)
        fake.key = "another"
        with pytest.raises(EngineFailed):
            await asked(pools)
        await until(lambda: "401" in (only(pools, "m").error or "") and not pools.ready)
        await asyncio.to_thread(Path(key).write_text, "another")
        await until(lambda: pools.ready)
        assert isinstance((await asked(pools))[-1], Usage)


async def test_a_url_that_is_not_allowed_is_never_asked(key: str) -> None:
    fake = FakeOpenAI()
    async with served(fake) as port, following() as pools:
        pools.follow([at(port, key=key)])
        await until(lambda: "upstreams" in (only(pools, "m").error or ""))
    assert not fake.asked


@pytest.mark.parametrize("status", [429, 500, 503, 401])
async def test_what_one_refuses_another_answers(status: int, key: str) -> None:
    broken, well = FakeOpenAI(), FakeOpenAI()
    async with AsyncExitStack() as stack:
        ports = [await stack.enter_async_context(served(one)) for one in (broken, well)]
        pools = await stack.enter_async_context(following(at(*ports, key=key)))
        await until(lambda: pools.get("m").capacity == 8)
        broken.status = status
        for _ in range(6):
            assert isinstance((await asked(pools))[-1], Usage)
        assert 1 <= len(broken.bodies) <= 4, "one that fails again and again is left out"


async def test_nothing_is_asked_twice_once_something_came(key: str) -> None:
    fakes = [FakeOpenAI(), FakeOpenAI()]
    for fake in fakes:
        fake.fault = "eof"
    async with AsyncExitStack() as stack:
        ports = [await stack.enter_async_context(served(one)) for one in fakes]
        pools = await stack.enter_async_context(following(at(*ports, key=key)))
        await until(lambda: pools.get("m").capacity == 8)
        with pytest.raises(EngineFailed):
            await asked(pools)
    assert sum(len(fake.bodies) for fake in fakes) == 1


async def test_gateways_are_told_where_it_is_and_by_which_key(key: str, tmp_path: Path) -> None:
    fake, gateways, told = FakeOpenAI(), Gateways(), Told()
    async with served(fake) as port, following(at(port, key=key), gateways=gateways) as pools:
        await until(lambda: pools.ready)
        [report] = gateways.engines.ready.values()
        through_a_pipe = msgspec.json.decode(msgspec.json.encode(gateways.engines), type=Engines)
        assert through_a_pipe == gateways.engines and report.address.secret == KEY
        using = attached(tmp_path, KINDS, told, part=(0, 2))
        async with wired(gateways, told, using):
            using.follow([at(port, key=key)])
            await until(lambda: using.ready)
            assert isinstance((await asked(using))[-1], Usage) and using.get("m").capacity == 2
            await using.stop(1.0)

"""Dedicated instances of a whole server with paced engines: who is served where, what is sold, its cost."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from benchmarks.processes import Server, antiphon

from alone import alone
from antiphon.catalogue.changes import Changes
from antiphon.catalogue.live import changed
from antiphon.catalogue.pull import pull
from antiphon.ledger.duration import HOUR
from antiphon.ledger.instances import Readiness
from antiphon.operations.dedicated import Dedicated
from antiphon.operations.orders import Order
from antiphon.pools import machines
from antiphon.settings import load
from antiphon.storage.database import Database
from antiphon.values import Capacity

SNAPSHOT, ALIAS = "paced-a-2024-01-01", "paced"
PROGRAM = (sys.executable, str(Path(__file__).parents[1] / "paced_antiphon.py"))
SHARED_SLOTS = 4
TOKENS = 100
"""Of an answer that holds its place for two seconds."""
SETTINGS = {
    "PACED": "token_delay=0.02",
    "ANTIPHON_REQUESTS_PER_MINUTE": "0",
    "ANTIPHON_TOKENS_PER_MINUTE": "0",
    "ANTIPHON_QUEUE_SECONDS": "1",
}
OFFER = f"""
[[snapshots."{SNAPSHOT}".prices]]
since = 2023-03-01
input = "1"
output = "1"

[snapshots."{SNAPSHOT}".dedicated]
price_per_hour = "36"
load = 8
"""
"""At a cent a second, and a tenth of one for each token of the shared service."""
PATH = "/v1/organization/dedicated_instances"


def installed(home: Path, model: Path) -> Path:
    pull(alone(home), str(model), SNAPSHOT, alias=ALIAS)
    file = home / "models.toml"
    engines = 'engine = ["openvino", "llama"]\nslots = { openvino = 32, llama = 4 }'
    assert engines in file.read_text()
    paced = file.read_text().replace(engines, f'engine = "llama"\nslots = {SHARED_SLOTS}')
    file.write_text(paced + OFFER)
    return home


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, smollm2: Path) -> Iterator[Server]:
    home = installed(tmp_path_factory.mktemp("dedicated") / "home", smollm2)
    settings = SETTINGS | {"ANTIPHON_PROCESSES": "2"}
    with antiphon(home, settings, program=PROGRAM) as started:
        yield started


def said(server: Server, *words: str) -> str:
    """What one of the operator's commands prints."""
    command = [*PROGRAM, *words, "--home", str(server.home)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.strip()


class Tenant:
    """An organization with a key for requests and one for its administration."""

    def __init__(self, server: Server, name: str) -> None:
        said(server, "orgs", "create", name)
        self.name = name
        self.key = said(server, "keys", "create", "--org", name)
        admin = said(server, "keys", "create", "--org", name, "--admin")
        headers = {"authorization": f"Bearer {admin}"}
        self.admin = httpx.Client(base_url=server.root, headers=headers, timeout=30)
        self.url = server.url

    def leave(self) -> None:
        """End what it has, and go."""
        for one in self.admin.get(PATH).json()["data"]:
            self.admin.delete(f"{PATH}/{one['id']}").raise_for_status()
        self.admin.close()

    def created(self, **wanted: Any) -> dict[str, Any]:
        answer = self.admin.post(PATH, json={"model": ALIAS, **wanted})
        assert answer.status_code == 200, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def seen(self, id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.admin.get(f"{PATH}/{id}").json()
        return found

    def cost(self) -> float:
        """Dollars of the day, for tokens and for time."""
        asked = {"start_time": str(int(time.time()) - 2 * 86_400)}
        buckets = self.admin.get("/v1/organization/costs", params=asked).json()["data"]
        return sum(float(one["amount"]["value"]) for bucket in buckets for one in bucket["results"])

    def tokens(self) -> int:
        asked = {"start_time": str(int(time.time()) - 86_400)}
        buckets = self.admin.get("/v1/organization/usage/completions", params=asked).json()["data"]
        return sum(one["output_tokens"] for bucket in buckets for one in bucket["results"])

    @asynccontextmanager
    async def client(self) -> AsyncIterator[openai.AsyncOpenAI]:
        async with openai.AsyncOpenAI(base_url=self.url, api_key=self.key, max_retries=0) as client:
            yield client


@contextmanager
def tenancy(server: Server, name: str) -> Iterator[Tenant]:
    made = Tenant(server, f"{name}-{time.monotonic_ns()}")
    try:
        yield made
    finally:
        made.leave()


@pytest.fixture
def tenant(server: Server) -> Iterator[Tenant]:
    with tenancy(server, "tenant") as made:
        yield made


@pytest.fixture
def other(server: Server) -> Iterator[Tenant]:
    with tenancy(server, "other") as made:
        yield made


async def asked(client: openai.AsyncOpenAI, tokens: int = TOKENS) -> str:
    """`served`, or the code of the refusal."""
    try:
        answer = await client.chat.completions.create(
            model=ALIAS, messages=[{"role": "user", "content": "x"}], max_tokens=tokens
        )
    except openai.APIStatusError as problem:
        return str(problem.code)
    assert answer.model == SNAPSHOT
    return "served"


async def until(condition: Any, seconds: float = 30.0) -> None:
    async with asyncio.timeout(seconds):
        while not await asyncio.to_thread(condition):
            await asyncio.sleep(0.2)


async def ready(tenant: Tenant, made: dict[str, Any]) -> None:
    await until(lambda: tenant.seen(made["id"])["ready_replicas"] == made["replicas"])
    await asyncio.sleep(1)  # every gateway process has attached to it


async def test_it_serves_its_organization_alone_and_costs_nothing_by_token(
    tenant: Tenant, other: Tenant
) -> None:
    made = tenant.created(load=8)  # each of two processes may have half of them served
    assert made["status"] == "running" and made["model"] == SNAPSHOT and Decimal(made["price_per_hour"]) == 36
    await ready(tenant, made)
    async with tenant.client() as own, other.client() as foreign:
        # The others fill every place of the shared service, and what waits there is refused.
        crowd = [asyncio.create_task(asked(foreign, 4 * TOKENS)) for _ in range(3 * SHARED_SLOTS)]
        await asyncio.sleep(0.3)
        assert await asyncio.gather(*(asked(own) for _ in range(4))) == ["served"] * 4
        outcomes = await asyncio.gather(*crowd)
        assert outcomes.count("served") <= SHARED_SLOTS and "server_is_overloaded" in outcomes
    await until(lambda: tenant.tokens() == 4 * TOKENS)
    assert tenant.cost() == 0 and other.cost() > 0
    assert tenant.admin.delete(f"{PATH}/{made['id']}").json()["deleted"] is True
    assert tenant.seen(made["id"])["status"] == "ended"


async def test_spilling_over_is_a_choice(tenant: Tenant) -> None:
    made = tenant.created(load=1)
    await ready(tenant, made)
    async with tenant.client() as own:
        # Each process has a place of its own, at least: as many as come to one wait, and are refused.
        crowd = await asyncio.gather(*(asked(own, 2 * TOKENS) for _ in range(6)))
        assert "server_is_overloaded" in crowd
        tenant.admin.post(f"{PATH}/{made['id']}", json={"spill_over": True}).raise_for_status()
        async with asyncio.timeout(60):  # until every process has heard of it
            while "server_is_overloaded" in crowd:
                await asyncio.sleep(1)
                crowd = await asyncio.gather(*(asked(own, 2 * TOKENS) for _ in range(3)))
        assert crowd == ["served"] * 3
    await until(lambda: tenant.cost() > 0)


async def test_what_is_reserved_is_not_sold_twice(tenant: Tenant, other: Tenant) -> None:
    first = tenant.created()
    begin = int(time.time()) + 100
    while other.admin.post(PATH, json={"model": ALIAS, "starts_at": begin}).status_code == 200:
        pass  # one for each processor that is left
    refused = other.admin.post(PATH, json={"model": ALIAS, "starts_at": begin})
    assert refused.status_code == 400 and refused.json()["error"]["code"] == "capacity_taken"
    assert "processors" in refused.json()["error"]["message"]
    calendar = tenant.admin.get(f"{PATH}/calendar", params={"model": ALIAS}).json()["data"]
    assert calendar[0]["replicas"] > calendar[-1]["replicas"] == 0 or calendar[0]["replicas"] == 0
    assert other.admin.get(f"{PATH}/{first['id']}").status_code == 404
    assert other.admin.delete(f"{PATH}/{first['id']}").status_code == 404
    [*_, last] = other.admin.get(PATH).json()["data"]
    other.admin.delete(f"{PATH}/{last['id']}").raise_for_status()
    other.created(starts_at=begin, ends_at=begin + 3600)


async def test_others_ten_times_over_do_not_hold_an_instance_up(tenant: Tenant, other: Tenant) -> None:
    """Its answers come in time, whoever crowds the shared service; how much in time is measured elsewhere."""
    made = tenant.created(load=8)
    await ready(tenant, made)
    ended = asyncio.Event()

    async def crowding(client: openai.AsyncOpenAI) -> int:
        served = 0
        while not ended.is_set():
            served += await asked(client, TOKENS // 5) == "served"
        return served

    async with tenant.client() as own, other.client() as foreign:
        crowd = [asyncio.create_task(crowding(foreign)) for _ in range(20)]
        try:
            await asyncio.sleep(1)
            for _ in range(3):
                # Each takes two seconds; in the line of the others it would be refused after one.
                async with asyncio.timeout(20):
                    assert await asyncio.gather(*(asked(own) for _ in range(2))) == ["served"] * 2
        finally:
            ended.set()
            served = await asyncio.gather(*crowd)
    assert sum(served) > 0, "the others were served, too"


async def test_of_two_servers_on_a_database_one_runs_an_instance(tmp_path: Path, smollm2: Path) -> None:
    first, second = (installed(tmp_path / name, smollm2) for name in ("first", "second"))
    with antiphon(first, SETTINGS, program=PROGRAM) as one:
        (second / "pepper").write_bytes((first / "pepper").read_bytes())
        shared = SETTINGS | {"ANTIPHON_DATABASE": load({"home": str(first)}).database_url}
        with antiphon(second, shared, key=one.key, program=PROGRAM) as two, tenancy(one, "tenant") as tenant:
            made = tenant.created()
            await ready(tenant, made)
            async with tenant.client() as own:
                assert await asked(own, 1) == "served"
            tenant.url = two.url
            async with tenant.client() as own:
                assert await asked(own, 1) == "instance_elsewhere"
                tenant.admin.post(f"{PATH}/{made['id']}", json={"spill_over": True}).raise_for_status()
                await asyncio.sleep(3)
                assert await asked(own, 1) == "served"


async def test_time_is_billed_to_the_second_and_outages_are_credited(tmp_path: Path, smollm2: Path) -> None:
    home = installed(tmp_path / "home", smollm2)
    settings = load({"home": str(home)})
    with antiphon(home, SETTINGS, program=PROGRAM) as started, tenancy(started, "tenant") as tenant:
        organization = json.loads(said(started, "orgs", "list", "--json"))[-1]["id"]
        begin = int(time.time()) - 3 * HOUR
        async with Database(settings.database_url) as database:
            catalogue = await changed(home, Changes(database))
            past = Dedicated(database, lambda: catalogue, settings, lambda: begin)
            async with database.begin() as connection:
                there = {"test": Capacity(cpus=64_000, memory=2**40)}
                await connection.run_sync(partial(machines.tell, server="here", machines=there, now=begin))
            order = Order(model=ALIAS, replicas=2, ends_at=begin + HOUR + 1)
            sold = await past.create(organization, order, by=None)
            # One replica was ready all the time, the other not for 100 seconds.
            for replica, spans in ((0, [(0, HOUR + 1)]), (1, [(0, 1000), (1100, HOUR + 1)])):
                for first, last in spans:
                    noting = Readiness()
                    async with database.begin() as connection:
                        for second in (*range(first, last, 30), last):
                            note = partial(noting.note, ready={(sold.id, replica)}, now=begin + second)
                            await connection.run_sync(note)
        cents = 2 * (HOUR + 1) - 100
        await until(lambda: tenant.cost() == pytest.approx(cents / 100, abs=1e-9), 90)
        shown = tenant.seen(sold.id)
        assert {name: Decimal(value) for name, value in shown["cost"].items()} == {
            "charged": Decimal("72.02"),
            "credited": 1,
        }
        assert shown["status"] == "ended"
        assert said(started, "ledger", "verify") == "The books are right."

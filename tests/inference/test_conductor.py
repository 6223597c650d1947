"""Where a request goes: to an instance of its organization's own first, and nobody else's ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from sqlalchemy import insert

import fake_engine
from antiphon.admission.gate import Gate
from antiphon.admission.limits import Limits
from antiphon.admission.rates import LimitsOf
from antiphon.errors import Unavailable
from antiphon.inference.conductor import Conductor
from antiphon.pools.demand import Keeper
from antiphon.pools.member import Member, Serving
from antiphon.pools.plan import Unit
from antiphon.pools.pool import Pool
from antiphon.pools.pools import Incapable, Pools
from antiphon.settings import Settings
from antiphon.storage import tables
from antiphon.values import Caller, ChatJob, Delta, Deployment, Feature, Snapshot, Usage
from ledger_rows import PRICE
from service import CALLER, CHAT, Fixed, ScriptedEngine, Service, hello, instance, serving
from sold import instance as sold

SNAPSHOTS = ("m", "n")
ORGANIZATIONS = ("a", "b")
KINDS = {
    "able": fake_engine.kind(name="able", features=frozenset({"seed", "logprobs"})),
    "plain": fake_engine.kind(name="plain", features=frozenset()),
}


class Ready:
    """A member whose engine is there, unless it is away; no process runs."""

    def __init__(self, unit: Unit, away: bool) -> None:
        engine: Any = object()
        self._serving = {d.snapshot: Serving(engine, d, d.slots) for d in unit.deployments if not away}
        self.failures, self.retiring, self.woken = 0, False, 0

    def serving(self, snapshot: str) -> Serving | None:
        return self._serving.get(snapshot)

    def require(self, always: bool) -> None:
        pass

    def wake(self) -> None:
        self.woken += 1


class House:
    """A conductor over pools that follow a plan; of those that are `away` no engine is ready."""

    def __init__(
        self,
        deployments: list[Deployment],
        away: frozenset[str] = frozenset(),
        limits: LimitsOf | None = None,
    ) -> None:
        self.members: dict[str, Ready] = {}

        def make(unit: Unit, kind: object, changed: Callable[[], None]) -> tuple[Member, Keeper]:
            member: Any = Ready(unit, unit.name in away)
            self.members[unit.name] = member
            return member, member

        self.pools = Pools(KINDS, make)
        self.pools.follow(deployments)
        nothing: Any = None
        self.gate = Gate(Settings(), limits=limits)
        names = Fixed({}, {}, frozenset(), 0, instances=())
        self.conductor = Conductor(Settings(), names, self.gate, self.pools, nothing, nothing)

    def way(
        self, organization: str, snapshot: str, needs: frozenset[Feature] = frozenset(), weight: int = 1
    ) -> Any:
        """Of a request that takes so many places."""
        who = caller(organization)
        return self.conductor._way(who, snapshot_of(snapshot), needs, weigh=lambda pool: weight)

    def free(self, pool: Pool) -> int:
        return self.gate.free(pool.deployment.name, pool.capacity)

    def held(self, pool: Pool, weight: int = 1) -> AbstractAsyncContextManager[Any]:
        """Hold places of a pool, as a request that it serves."""
        name = pool.deployment.name
        return self.gate.enter(caller("a"), name, lambda: pool.capacity, weight, rated_as=None)


def caller(organization: str) -> Caller:
    return replace(CALLER, organization_id=organization)


def snapshot_of(id: str) -> Snapshot:
    released = PRICE.since
    return Snapshot(id=id, task="chat", released=released, owned_by="o", licence="MIT", prices=(PRICE,))


def shared(snapshot: str = "m", **changes: Any) -> Deployment:
    made = Deployment(snapshot=snapshot, task="chat", engine="able", model=Path("/m"), slots=2)
    return replace(made, **changes)


def own(organization: str = "a", id: str = "i", **changes: Any) -> Deployment:
    return shared(**{"instance": id, "organization": organization, **changes})


def test_who_has_an_instance_goes_there_and_pays_nothing_more() -> None:
    house = House([shared(), own()])
    way = house.way("a", "m")
    assert (way.name, way.limited, way.snapshot.prices) == ("m@i", False, ())
    way = house.way("b", "m")
    assert (way.name, way.limited, way.snapshot.prices) == ("m", True, (PRICE,))


def test_an_instance_is_for_its_snapshot_alone() -> None:
    house = House([shared(), shared("n"), own()])
    assert house.way("a", "n").name == "n"
    house = House([own()])
    with pytest.raises(Unavailable):
        house.way("a", "n")
    with pytest.raises(Unavailable):
        house.way("b", "m")


async def test_a_full_one_is_waited_for_unless_it_may_spill_over() -> None:
    for spill_over, expected in ((False, "m@i"), (True, "m")):
        house = House([shared(), own(spill_over=spill_over)])
        [pool] = house.pools.dedicated("a", "m")
        async with house.held(pool):
            assert house.way("a", "m").name == "m@i"
            async with house.held(pool):
                way = house.way("a", "m")
                assert (way.name, bool(way.snapshot.prices)) == (expected, spill_over)


async def test_a_place_is_taken_while_the_rates_of_who_comes_first_are_looked_up() -> None:
    """Those that come together are not all sent to the last place, to be refused there."""
    looked_up = asyncio.Event()

    async def limits(project: str, snapshot: str | None) -> Limits:
        await looked_up.wait()
        return Limits()

    house = House([shared(), own(spill_over=True, slots=1)], limits=limits)
    [pool] = house.pools.dedicated("a", "m")
    async with AsyncExitStack() as held:
        first = asyncio.create_task(held.enter_async_context(house.held(pool)))
        await asyncio.sleep(0)
        assert house.way("a", "m").name == "m" and house.free(pool) == 0
        looked_up.set()
        await first
        assert house.way("a", "m").name == "m" and house.free(pool) == 0
    assert house.way("a", "m").name == "m@i" and house.free(pool) == 1
    looked_up.clear()
    gone = asyncio.create_task(house.held(pool).__aenter__())
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.wait({gone})
    assert house.free(pool) == 1


async def test_what_takes_several_places_needs_as_many_or_spills_over() -> None:
    house = House([shared(), own(spill_over=True, slots=8)])
    [pool] = house.pools.dedicated("a", "m")
    assert house.way("a", "m", weight=20).name == "m@i", "it takes all that there are"
    async with house.held(pool, 5):
        assert house.way("a", "m", weight=3).name == "m@i"
        assert house.way("a", "m", weight=4).name == house.way("a", "m", weight=20).name == "m"
    async with house.held(pool, 8):
        assert house.way("a", "m").name == "m", "one request holds all places"


def test_what_is_not_ready_spills_over_to_what_is() -> None:
    assert House([shared(), own(spill_over=True)], frozenset({"m@i"})).way("a", "m").name == "m"
    assert House([shared(), own()], frozenset({"m@i"})).way("a", "m").name == "m@i"
    house = House([shared(), own(spill_over=True)], frozenset({"m", "m@i"}))
    assert house.way("a", "m").name == "m@i", "it would wait there just as long"


def test_what_sleeps_is_woken_by_what_spills_over() -> None:
    house = House([shared(on_demand=True), own(spill_over=True)], frozenset({"m", "m@i"}))
    before = house.members["m"].woken
    assert house.way("a", "m").name == "m@i"
    assert house.members["m"].woken == before + 1
    alone = House([own(spill_over=True)], frozenset({"m@i"}))
    assert alone.way("a", "m").name == "m@i", "there is nothing to spill over to"


async def test_of_several_the_one_with_the_most_room_is_taken() -> None:
    house = House([shared(), own(), own(id="j", slots=5)])
    first, second = house.pools.dedicated("a", "m")
    assert house.way("a", "m").name == "m@j"
    async with house.held(second, 4):
        assert house.way("a", "m").name == "m@i"


def test_what_an_instance_cannot_do_spills_over_or_is_refused() -> None:
    needs = frozenset({"logprobs"})
    house = House([shared(), own(engine="plain", spill_over=True)])
    assert house.way("a", "m").name == "m@i" and house.way("a", "m", needs).name == "m"  # type: ignore[arg-type]
    house = House([shared(), own(engine="plain")])
    with pytest.raises(Incapable):
        house.way("a", "m", needs)  # type: ignore[arg-type]
    house = House([shared(), own(engine="plain"), own(id="j")])
    assert house.way("a", "m", needs).name == "m@j"  # type: ignore[arg-type]


instances = st.builds(
    lambda snapshot, organization, id, spill_over, slots, engine: own(
        organization, id, snapshot=snapshot, spill_over=spill_over, slots=slots, engine=engine
    ),
    st.sampled_from(SNAPSHOTS),
    st.sampled_from(ORGANIZATIONS),
    st.sampled_from("ijk"),
    st.booleans(),
    st.integers(1, 3),
    st.sampled_from(sorted(KINDS)),
)
everybodys = st.builds(shared, st.sampled_from(SNAPSHOTS), slots=st.integers(1, 3))
asked = st.tuples(
    st.sampled_from([*ORGANIZATIONS, "c"]),
    st.sampled_from(SNAPSHOTS),
    st.sampled_from([frozenset(), frozenset({"seed"})]),
)


@given(
    st.lists(instances, max_size=5, unique_by=lambda one: one.instance),
    st.lists(everybodys, max_size=2, unique_by=lambda one: one.snapshot),
    st.frozensets(st.sampled_from(["m", "n", "m@i", "n@i", "m@j"])),
    st.lists(asked, max_size=30),
)
def test_nobody_elses_request_ever_goes_to_an_instance(
    sold: list[Deployment], served: list[Deployment], away: frozenset[str], requests: list[Any]
) -> None:
    asyncio.run(asked_in_turn(House([*sold, *served], away), sold, served, requests))


async def asked_in_turn(
    house: House, sold: list[Deployment], served: list[Deployment], requests: list[Any]
) -> None:
    async with AsyncExitStack() as held:
        for organization, snapshot, needs in requests:
            mine = [one for one in sold if (one.organization, one.snapshot) == (organization, snapshot)]
            try:
                way = house.way(organization, snapshot, needs)
            except Unavailable:
                assert snapshot not in {one.snapshot for one in served}
                assert not mine or (needs and any(one.spill_over for one in mine))
                continue
            except Incapable:
                assert mine and not any(one.spill_over for one in mine)
                continue
            found = way.pool.deployment
            assert found.organization in ("", organization) and found.snapshot == snapshot
            assert way.limited == (not found.instance) == bool(way.snapshot.prices)
            assert needs <= way.pool.kind.features
            if not found.instance:
                able = [one for one in mine if needs <= KINDS[one.engine].features]
                assert all(one.spill_over for one in able) or len(able) > 1
            if house.free(way.pool):
                await held.enter_async_context(house.held(way.pool))
            elif mine and found.instance:
                own = house.pools.dedicated(organization, snapshot)
                assert max(house.free(pool) for pool in own if needs <= pool.kind.features) == 0


# --- over the API -------------------------------------------------------------------------------------------


def equip(service: Service, engine: ScriptedEngine, **options: Any) -> None:
    """Give the organization of the usual key an instance."""
    service.pool.instances["org-1", CHAT] = [instance(engine, **options)]


async def test_a_request_to_an_instance_is_recorded_and_costs_nothing(tmp_path: Path) -> None:
    own = ScriptedEngine()
    async with serving(tmp_path) as service:
        equip(service, own)
        status, headers, body = await service.chat()
        paid = await service.books.only()
    assert (status, body["model"]) == (200, CHAT)
    assert len(own.jobs) == 1 and service.engine.jobs == []
    assert (paid.status, paid.cost, paid.reserved, paid.input_tokens, paid.output_tokens) == (
        "settled", 0, 0, 3, 2,
    )  # fmt: skip
    rated = {name for name in headers if name.startswith("x-ratelimit-limit")}
    assert rated == {"x-ratelimit-limit-queued-requests"}, "it has a line, and no rates"


async def test_what_another_server_runs_alone_is_refused_by_its_name(tmp_path: Path) -> None:
    away = sold(snapshot=CHAT, begins_at=0, server="rack-2:/data")
    async with serving(tmp_path, instances=(away,)) as service:
        status, headers, body = await service.chat()
    error = body["error"]
    assert (status, error["code"], headers["retry-after"]) == (503, "instance_elsewhere", "1")
    assert "'rack-2'" in error["message"] and "/data" not in error["message"]
    assert service.engine.jobs == []


async def test_what_another_server_runs_may_spill_over(tmp_path: Path) -> None:
    away = sold(snapshot=CHAT, begins_at=0, server="rack-2:/data", spill_over=True)
    async with serving(tmp_path, instances=(away,)) as service:
        status, _, _ = await service.chat()
        paid = await service.books.only()
    assert status == 200 and len(service.engine.jobs) == 1 and paid.cost > 0


async def test_others_go_where_everybody_goes(tmp_path: Path) -> None:
    own = ScriptedEngine()
    async with serving(tmp_path) as service:
        equip(service, own)
        headers = {"authorization": "Bearer sk-org-other"}
        body = {"model": CHAT, "messages": [{"role": "user", "content": "Say hello"}]}
        status, _, _ = await service.call("POST", "/v1/chat/completions", json=body, headers=headers)
        paid = await service.books.only()
    assert (status, own.jobs, len(service.engine.jobs)) == (200, [], 1)
    assert paid.cost > 0


async def test_an_instance_has_no_rates_and_no_limit_of_spending(tmp_path: Path) -> None:
    own = ScriptedEngine()
    async with serving(tmp_path, requests_per_minute=1, concurrent_requests=1) as service:
        equip(service, own)
        async with service.books.database.begin() as connection:
            await connection.execute(insert(tables.spend_limit).values(scope="org-1", cents=0, updated_at=0))
        answers = await asyncio.gather(*(service.chat() for _ in range(4)))
        assert [status for status, _, _ in answers] == [200] * 4
        service.pool.instances.clear()
        assert (await service.chat())[0] == 429
    assert len(own.jobs) == 4


@pytest.mark.parametrize("spill_over", [True, False])
async def test_what_finds_no_place_spills_over_at_the_usual_price_or_waits(
    tmp_path: Path, spill_over: bool
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(job: ChatJob) -> AsyncGenerator[Delta | Usage, None]:
        begun.set()
        await go_on.wait()
        async for piece in hello(job):
            yield piece

    own = ScriptedEngine(slow)
    async with serving(tmp_path) as service:
        equip(service, own, capacity=1, spill_over=spill_over)
        first = asyncio.create_task(service.chat())
        await asyncio.wait_for(begun.wait(), 5)
        second = asyncio.create_task(service.chat())
        if spill_over:
            assert (await asyncio.wait_for(second, 5))[0] == 200
            assert len(service.engine.jobs) == 1
        else:
            await asyncio.sleep(0.3)
            assert not second.done() and service.engine.jobs == []
        go_on.set()
        assert [(await one)[0] for one in (first, second)] == [200, 200]
        paid = await service.books.requests(2)
    assert sorted(one.cost > 0 for one in paid) == [False, spill_over]
    assert len(own.jobs) + len(service.engine.jobs) == 2


async def test_an_instance_has_its_own_context(tmp_path: Path) -> None:
    own = ScriptedEngine()
    async with serving(tmp_path) as service:
        equip(service, own, context=20)
        status, _, body = await service.chat(messages=[{"role": "user", "content": "word " * 20}])
        assert status == 400 and "maximum context length is 20 tokens" in body["error"]["message"]
        equip(service, own, context=20_000)
        status, _, _ = await service.chat(messages=[{"role": "user", "content": "word " * 10_000}])
        assert status == 200

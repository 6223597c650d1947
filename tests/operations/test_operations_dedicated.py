"""Dedicated instances: sold once, changed, ended; on both databases."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from antiphon.access.pepper import check_pepper
from antiphon.errors import CapacityTaken, InsufficientQuota, InvalidRequest, NotFound
from antiphon.ledger import credits
from antiphon.ledger.instances import Readiness, agreements
from antiphon.ledger.time_charges import Cost, bill
from antiphon.ledger.verify import verify
from antiphon.operations import dedicated as service
from antiphon.operations.dedicated import Dedicated, Standing
from antiphon.operations.orders import Change, Order
from antiphon.pools import machines
from antiphon.pools.calendar import Room
from antiphon.settings import Settings
from antiphon.storage.database import Database
from antiphon.values import Capacity
from service import CHAT, SPEECH, Fixed, catalogue
from tenants import PEPPER, World

DOLLAR, HOUR = 10**9, 3600
ORDER = Order(model=SPEECH)
OFFER: dict[str, Any] = {"dedicated": {"price_per_hour": "1.50"}, "needs": {"cpus": 2, "memory_mib": 1024}}
MACHINE = {"a": Capacity(cpus=10_000, memory=64 << 30)}


class House:
    """An organization, `acme`, and another; a machine with room for four replicas beside what all share."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.folder = folder
        self.database = world.database
        self.offering: Fixed = catalogue(folder, {"snapshots": {SPEECH: OFFER}})
        self.dedicated = self.another()
        self.acme = self.other = ""

    def another(self) -> Dedicated:
        """The same as another process has it."""
        settings = Settings(home=str(self.folder))
        return Dedicated(self.database, lambda: self.offering, settings, lambda: self.world.wall)

    @property
    def now(self) -> int:
        return int(self.world.wall)

    async def run(self, work: Any, *arguments: Any) -> Any:
        return await self.database.run(lambda connection: work(connection, *arguments))

    async def equip(self, **there: Capacity) -> None:
        await self.run(partial(machines.tell, server="here", machines=there or MACHINE, now=self.now))

    async def pass_(self, seconds: int) -> None:
        """Let time go on; the machine is still heard of."""
        self.world.wall += seconds
        await self.equip()

    async def sell(self, **order: Any) -> Standing:
        return await self.dedicated.create(self.acme, replace(ORDER, **order), by=None)

    async def change(self, id: str, **change: Any) -> Standing:
        return await self.dedicated.update(self.acme, id, Change(**change), by=None)

    async def rates(self, id: str) -> list[tuple[int, int | None, int]]:
        """From, until and replicas, since now."""
        found = await self.run(agreements)
        [one] = [one for one in found if one.id == id]
        return [(rate.begin, rate.end, rate.replicas) for rate in one.rates]

    async def prepaid(self, name: str, dollars: float) -> str:
        made = await self.world.access.organizations.create(name, prepaid=True, by=None)
        await self.run(credits.add, made.id, round(dollars * DOLLAR), "", self.now)
        return str(made.id)


@pytest.fixture
async def house(database: Database, tmp_path: Path) -> House:
    await check_pepper(database, PEPPER)  # from then on there is an installation to lock
    house = House(World(database), tmp_path)
    house.acme = (await house.world.organization("acme")).id
    house.other = (await house.world.organization("other")).id
    await house.equip()
    return house


async def test_an_instance_is_sold_as_it_is_offered(house: House) -> None:
    made = await house.sell()
    one = made.instance
    assert (one.snapshot, one.name, one.engine, one.load, one.replicas) == (SPEECH, SPEECH, "speech", 32, 1)
    assert (one.begins_at, one.ends_at, one.created_at) == (house.now, None, house.now)
    assert one.needs == Capacity(cpus=2000, memory=2**30)
    assert (made.price, made.ready, made.cost) == (1_500_000_000, 0, Cost())
    assert await house.dedicated.get(house.acme, one.id) == made
    assert await house.rates(one.id) == [(house.now, None, 1)]
    assert "dedicated_instance.created" in await house.world.events(house.acme)


async def test_an_instance_is_sold_as_it_is_ordered(house: House) -> None:
    begin = house.now + 100
    made = await house.sell(
        name="mine", load=3, replicas=2, begins_at=begin, ends_at=begin + 50, spill_over=True, price=7
    )
    one = made.instance
    assert (one.name, one.load, one.replicas, one.spill_over, made.price) == ("mine", 3, 2, True, 7)
    assert (one.begins_at, one.ends_at) == (begin, begin + 50)
    assert await house.rates(one.id) == [(begin, begin + 50, 2)]
    late = await house.sell(begins_at=5, ends_at=house.now + 1)
    assert late.instance.begins_at == house.now, "what is past is now"


async def test_a_quote_says_what_would_be_sold_and_sells_nothing(house: House) -> None:
    order = replace(ORDER, name="mine", replicas=2)
    quoted = await house.dedicated.quoted(house.acme, order)
    assert (quoted.price, quoted.instance.replicas, quoted.instance.server) == (1_500_000_000, 2, "here")
    assert (await house.dedicated.listed(house.acme, after=None, limit=10)).data == []
    with pytest.raises(CapacityTaken):
        await house.dedicated.quoted(house.acme, replace(ORDER, replicas=64))
    poor = await house.prepaid("poor", 1)
    with pytest.raises(InsufficientQuota):
        await house.dedicated.quoted(poor, order)


@pytest.mark.parametrize(
    ("order", "param"),
    [
        ({"model": "none"}, "model"),
        ({"context": 100}, "context_length"),
        ({"load": 0}, "load"),
        ({"load": 257}, "load"),
        ({"replicas": 0}, "replicas"),
        ({"replicas": 65}, "replicas"),
        ({"ends_at": 1}, "ends_at"),
        ({"name": "a\nb"}, "name"),
        ({"name": "x" * 101}, "name"),
    ],
)
async def test_a_wrong_order_names_what_is_wrong(house: House, order: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await house.sell(**order)
    assert refused.value.param == param
    assert (await house.dedicated.listed(house.acme, after=None, limit=10)).data == []


async def test_no_more_is_sold_than_there_is(house: House) -> None:
    await house.sell(replicas=3)
    first = await house.sell(ends_at=house.now + 100)
    with pytest.raises(CapacityTaken, match=rf"from {house.now} on it lacks 2 processors\. The calendar"):
        await house.sell()
    with pytest.raises(CapacityTaken, match=f"from {house.now + 100} on"):
        await house.sell(begins_at=house.now + 100, replicas=2)
    await house.sell(begins_at=house.now + 100)
    assert await house.dedicated.calendar(SPEECH, house.now, None) == [Room(house.now, None, 0)]
    await house.dedicated.end(house.acme, first.id, by=None)
    assert await house.dedicated.calendar(SPEECH, 0, house.now + 200) == [
        Room(house.now, house.now + 100, 1),
        Room(house.now + 100, house.now + 200, 0),
    ]
    assert await house.dedicated.calendar(SPEECH, 0, house.now) == []


async def test_what_everybody_is_served_by_is_not_sold(house: House) -> None:
    """The speech model is served: its two processors of the three are taken."""
    await house.equip(a=Capacity(cpus=3000, memory=64 << 30))
    with pytest.raises(CapacityTaken, match="lacks 1 processors"):
        await house.sell()


async def test_memory_is_capacity_too(house: House) -> None:
    await house.equip(a=Capacity(cpus=64_000, memory=(2 << 30) + 5))
    await house.sell()
    with pytest.raises(CapacityTaken, match="lacks 1024 MiB of memory"):
        await house.sell()


async def test_without_a_machine_nothing_is_sold(house: House) -> None:
    house.world.wall += machines.FORGOTTEN
    with pytest.raises(CapacityTaken, match="start the server first"):
        await house.sell()
    assert await house.dedicated.calendar(SPEECH, house.now, None) == [Room(house.now, None, 0)]


async def test_of_those_who_buy_the_last_room_at_once_one_gets_it(house: House) -> None:
    await house.sell(replicas=3)
    buyers = [(house.another(), owner) for owner in (house.acme, house.other) for _ in range(4)]
    made = await asyncio.gather(
        *(service.create(owner, ORDER, by=None) for service, owner in buyers), return_exceptions=True
    )
    assert [type(one) for one in made if isinstance(one, Exception)] == [CapacityTaken] * 7
    assert await house.dedicated.calendar(SPEECH, house.now, None) == [Room(house.now, None, 0)]


async def test_who_resizes_and_who_buys_at_once_do_not_both_get_it(house: House) -> None:
    held = await house.sell(replicas=3)
    made = await asyncio.gather(
        house.change(held.id, replicas=4),
        house.another().create(house.other, ORDER, by=None),
        house.another().update(house.acme, held.id, Change(replicas=4), by=None),
        return_exceptions=True,
    )
    taken = [one for one in made if isinstance(one, CapacityTaken)]
    # The second resize changes nothing if the first was in time.
    assert len(taken) in (1, 2) and not [o for o in made if isinstance(o, Exception) and o not in taken]
    [left] = await house.dedicated.calendar(SPEECH, house.now, None)
    assert left.number == 0


async def test_who_pays_in_advance_has_paid_for_an_hour(house: House) -> None:
    poor = await house.prepaid("poor", 2.99)
    with pytest.raises(InsufficientQuota, match="first hour"):
        await house.dedicated.create(poor, replace(ORDER, replicas=2), by=None)
    made = await house.dedicated.create(poor, ORDER, by=None)
    with pytest.raises(InsufficientQuota):
        await house.dedicated.update(poor, made.id, Change(replicas=2), by=None)
    await house.run(credits.add, poor, DOLLAR // 100, "", house.now)
    await house.dedicated.update(poor, made.id, Change(replicas=2), by=None)


async def test_nobody_sells_to_an_organization_that_is_not_there(house: House) -> None:
    with pytest.raises(NotFound, match="organization"):
        await house.dedicated.create("org-none", ORDER, by=None)


async def test_the_instances_of_others_are_not_there(house: House) -> None:
    made = await house.sell()
    asked = [
        lambda id: house.dedicated.get(house.other, id),
        lambda id: house.dedicated.update(house.other, id, Change(load=2), by=None),
        lambda id: house.dedicated.end(house.other, id, by=None),
    ]
    for ask in asked:
        for id in (made.id, "dedicated_none"):
            with pytest.raises(NotFound, match="There is no such dedicated instance"):
                await ask(id)
    assert (await house.dedicated.listed(house.other, after=None, limit=10)).data == []
    with pytest.raises(InvalidRequest):
        await house.dedicated.listed(house.other, after=made.id, limit=10)
    assert await house.dedicated.get(house.acme, made.id) == made


async def test_many_are_listed_page_by_page_with_what_each_cost(house: House) -> None:
    made = []
    for number in range(4):
        made.append(await house.sell(name=f"n{number}", price=3600 * (number + 1)))
        house.world.wall += 1
    await house.pass_(2 * HOUR)
    await house.run(bill, house.now)
    first = await house.dedicated.listed(house.acme, after=None, limit=3)
    rest = await house.dedicated.listed(house.acme, after=first.data[-1].id, limit=3)
    assert (first.has_more, rest.has_more) == (True, False)
    found = [*first.data, *rest.data]
    assert [one.id for one in found] == [one.id for one in made]
    assert [one.price for one in found] == [3600, 7200, 10_800, 14_400]
    assert all(one.cost.charged == one.cost.credited > 0 for one in found), "none was ever ready"
    assert [one.cost.charged % (n + 1) for n, one in enumerate(found)] == [0] * 4


async def test_what_was_ready_lately_is_shown(house: House) -> None:
    made = await house.sell(replicas=3)
    notes = Readiness()
    await house.run(notes.note, {(made.id, 0), (made.id, 1), (made.id, 2)}, house.now)
    assert (await house.dedicated.get(house.acme, made.id)).ready == 3
    assert (await house.change(made.id, replicas=2)).ready == 2, "no more than it has"
    house.world.wall += 20
    assert (await house.dedicated.get(house.acme, made.id)).ready == 2
    house.world.wall += 1
    assert (await house.dedicated.get(house.acme, made.id)).ready == 0


async def test_a_change_is_in_force_at_once(house: House) -> None:
    made = await house.sell()
    await house.pass_(100)
    changed = await house.change(
        made.id, name="new", load=5, replicas=2, spill_over=True, ends_at=house.now + 9
    )
    one = changed.instance
    assert (one.name, one.load, one.replicas, one.spill_over, one.ends_at) == (
        "new",
        5,
        2,
        True,
        house.now + 9,
    )
    assert await house.rates(made.id) == [
        (house.now - 100, house.now, 1),
        (house.now, house.now + 9, 2),
    ]
    assert await house.dedicated.get(house.acme, made.id) == changed
    assert (await house.world.events(house.acme))[-1] == "dedicated_instance.updated"
    forever = await house.change(made.id, ends_at=None)
    assert forever.instance.ends_at is None


async def test_no_change_is_none(house: House) -> None:
    made = await house.sell()
    house.world.wall += 5
    assert await house.change(made.id) == made
    assert await house.change(made.id, replicas=1) == made
    assert await house.rates(made.id) == [(house.now - 5, None, 1)]


async def test_two_resizes_in_one_second_are_the_second(house: House) -> None:
    made = await house.sell(replicas=2)
    await house.change(made.id, replicas=3)
    await house.change(made.id, replicas=1)
    assert await house.rates(made.id) == [(house.now, None, 1)]


async def test_a_resize_before_the_beginning_is_from_the_beginning_on(house: House) -> None:
    begin = house.now + 1000
    made = await house.sell(begins_at=begin)
    await house.change(made.id, replicas=2)
    assert await house.rates(made.id) == [(begin, None, 2)]
    with pytest.raises(InvalidRequest) as refused:
        await house.change(made.id, ends_at=begin)
    assert refused.value.param == "ends_at"
    assert (await house.change(made.id, ends_at=begin + 1)).instance.ends_at == begin + 1


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"load": 0}, "load"),
        ({"context": 9}, "context_length"),
        ({"replicas": 0}, "replicas"),
        ({"name": ""}, "name"),
        ({"ends_at": 5}, "ends_at"),
    ],
)
async def test_a_wrong_change_names_what_is_wrong(house: House, change: dict[str, Any], param: str) -> None:
    made = await house.sell()
    with pytest.raises(InvalidRequest) as refused:
        await house.change(made.id, **change)
    assert refused.value.param == param
    assert await house.dedicated.get(house.acme, made.id) == made


async def test_what_grows_needs_room_and_what_shrinks_does_not(house: House) -> None:
    made = await house.sell(replicas=3, ends_at=house.now + 100)
    await house.sell(begins_at=house.now + 100, replicas=2)
    with pytest.raises(CapacityTaken):
        await house.change(made.id, replicas=5)
    with pytest.raises(CapacityTaken):
        await house.change(made.id, ends_at=None)
    with pytest.raises(CapacityTaken):
        await house.change(made.id, ends_at=house.now + 101)
    await house.change(made.id, replicas=4)
    await house.equip(a=Capacity(cpus=2000, memory=2**30))  # most of it is lost
    await house.change(made.id, replicas=2, ends_at=house.now + 50)
    with pytest.raises(CapacityTaken):
        await house.change(made.id, replicas=3)


async def test_an_instance_ends_once(house: House) -> None:
    made = await house.sell()
    house.world.wall += 10
    ended = await house.dedicated.end(house.acme, made.id, by=None)
    assert ended.instance.ends_at == house.now and ended.instance.over(house.now)
    house.world.wall += 10
    assert await house.dedicated.end(house.acme, made.id, by=None) == ended
    assert (await house.world.events(house.acme)).count("dedicated_instance.deleted") == 1
    with pytest.raises(InvalidRequest, match="is over"):
        await house.change(made.id, ends_at=None)


async def test_what_is_called_off_never_begins(house: House) -> None:
    made = await house.sell(begins_at=house.now + 1000, replicas=4)
    called_off = await house.dedicated.end(house.acme, made.id, by=None)
    assert called_off.instance.over(house.now) and not called_off.instance.runs(house.now + 1000)
    assert await house.dedicated.end(house.acme, made.id, by=None) == called_off
    with pytest.raises(InvalidRequest, match="is over"):
        await house.change(made.id, ends_at=None)
    assert (await house.world.events(house.acme)).count("dedicated_instance.deleted") == 1
    assert await house.dedicated.calendar(SPEECH, house.now, None) == [Room(house.now, None, 4)]
    await house.pass_(9 * HOUR)
    assert await house.run(bill, house.now) == [] and await house.run(verify) == []


async def test_what_was_billed_stays_though_a_clock_is_late(house: House) -> None:
    made = await house.sell()
    await house.pass_(3 * HOUR)
    await house.run(bill, house.now)
    house.world.wall -= 2 * HOUR
    await house.equip()
    await house.change(made.id, replicas=2)
    with pytest.raises(InvalidRequest):
        await house.change(made.id, ends_at=house.now + 1)
    ended = await house.dedicated.end(house.acme, made.id, by=None)
    assert ended.instance.ends_at is not None and ended.instance.ends_at > house.now
    house.world.wall += 9 * HOUR
    await house.run(bill, house.now)
    assert await house.run(verify) == []


async def test_a_model_that_left_the_catalogue_leaves_its_instance_to_be_ended(house: House) -> None:
    made = await house.sell()
    house.offering = Fixed({}, {}, frozenset())
    with pytest.raises(InvalidRequest, match="not in the catalogue any more"):
        await house.change(made.id, load=2)
    assert (await house.dedicated.end(house.acme, made.id, by=None)).instance.over(house.now)


# --- more than one server -----------------------------------------------------------------------------------


async def test_an_instance_is_sold_on_one_server_with_room_for_all_of_it(house: House) -> None:
    """Beside what everybody is served by, each of the two has room for two replicas, and one for one more."""
    await house.equip(a=Capacity(cpus=6000, memory=2**40))
    there = {"b": Capacity(cpus=8000, memory=2**40)}
    await house.run(partial(machines.tell, server="there", machines=there, now=house.now))
    assert (await house.dedicated.calendar(SPEECH, house.now, None))[0].number == 3
    large = await house.sell(replicas=3)
    assert large.instance.server == "there" and (await house.sell(replicas=2)).instance.server == "here"
    with pytest.raises(CapacityTaken):
        await house.sell()
    await house.equip(a=Capacity(cpus=64_000, memory=2**40))
    with pytest.raises(CapacityTaken, match="lacks"):
        await house.change(large.id, replicas=4)


async def test_what_nobody_runs_is_taken_over_by_who_has_room(house: House) -> None:
    made = await house.sell(replicas=4)
    assert await house.dedicated.adopt("new") == [], "its server is heard of"
    house.world.wall += machines.FORGOTTEN
    small, large = ({"b": Capacity(cpus=cpus, memory=2**40)} for cpus in (9000, 10_000))
    await house.run(partial(machines.tell, server="new", machines=small, now=house.now))
    assert await house.dedicated.adopt("new") == []
    with pytest.raises(CapacityTaken, match="of its server"):
        await house.change(made.id, replicas=5)
    await house.run(partial(machines.tell, server="new", machines=large, now=house.now))
    assert await house.dedicated.adopt("new") == [made.id]
    assert (await house.dedicated.get(house.acme, made.id)).instance.server == "new"
    assert await house.dedicated.adopt("new") == []


# --- what the size of an instance takes ---------------------------------------------------------------------


async def test_a_larger_load_or_context_takes_more_memory(house: House) -> None:
    offer = {"price_per_hour": "1", "bytes_per_token": 2**20, "load": 64}
    needs = {"cpus": 1, "memory_mib": 1024}
    changes = {"dedicated": offer, "needs": needs, "engine": "llama"}
    house.offering = catalogue(house.folder, {"snapshots": {CHAT: changes}})
    await house.equip(a=Capacity(cpus=64_000, memory=100 << 30))
    made = await house.sell(model=CHAT, context=1024, load=4)
    assert made.instance.memory == (1 << 30) + (4 << 30)
    with pytest.raises(CapacityTaken, match="of memory"):
        await house.sell(model=CHAT, context=8192, load=64)
    with pytest.raises(CapacityTaken, match="of memory"):
        await house.change(made.id, context=8192, load=32)
    assert (await house.change(made.id, load=8)).instance.memory == (1 << 30) + (8 << 30)
    assert (await house.dedicated.get(house.acme, made.id)).instance.memory == (1 << 30) + (8 << 30)
    assert (await house.change(made.id, load=1)).instance.memory == (1 << 30) + (1 << 30)


async def test_one_without_a_name_has_its_models_as_far_as_that_goes(house: House) -> None:
    long = "x" * 128
    entry = replace(house.offering.entries[SPEECH], id=long)
    house.offering = Fixed({long: entry}, {}, frozenset({long}))
    assert (await house.sell(model=long)).instance.name == "x" * 100


async def test_an_organization_has_so_many_and_no_more(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MOST", 2)
    first = await house.sell()
    later = await house.sell(begins_at=house.now + 100)
    with pytest.raises(InvalidRequest, match="may have 2 instances") as refused:
        await house.sell()
    assert refused.value.code == "too_many_instances"
    await house.dedicated.create(house.other, ORDER, by=None)
    for one in (first, later):
        await house.dedicated.end(house.acme, one.id, by=None)
        await house.sell()


# --- money, and orders that come twice ----------------------------------------------------------------------


async def test_what_runs_already_has_to_be_paid_too(house: House) -> None:
    poor = await house.prepaid("poor", 3.01)
    await house.dedicated.create(poor, ORDER, by=None)
    await house.dedicated.create(poor, ORDER, by=None)
    with pytest.raises(InsufficientQuota, match="an hour of the others"):
        await house.dedicated.create(poor, ORDER, by=None)
    await house.run(credits.add, poor, round(1.49 * DOLLAR), "", house.now)
    await house.pass_(6)
    with pytest.raises(InsufficientQuota, match="not billed yet"):
        await house.dedicated.create(poor, ORDER, by=None)
    await house.run(credits.add, poor, DOLLAR // 100, "", house.now)
    await house.dedicated.create(poor, ORDER, by=None)


async def test_an_order_with_a_key_is_sold_once(house: House) -> None:
    async def buy(owner: str, key: str, **order: Any) -> Standing:
        return await house.another().create(owner, replace(ORDER, **order), by=None, key=key)

    made = await asyncio.gather(*(buy(house.acme, "k") for _ in range(4)))
    assert len({one.id for one in made}) == 1
    house.world.wall += 60
    await house.change(made[0].id, load=3)
    again = await buy(house.acme, "k")
    assert (again.id, again.instance.load, again.price) == (made[0].id, 3, 1_500_000_000)
    with pytest.raises(InvalidRequest) as refused:
        await buy(house.acme, "k", replicas=2)
    assert refused.value.code == "idempotency_key_in_use"
    assert (await buy(house.other, "k")).id != made[0].id != (await buy(house.acme, "l")).id
    assert len((await house.dedicated.listed(house.acme, after=None, limit=10)).data) == 2


async def test_what_somebody_else_changed_stays(house: House) -> None:
    seen = (await house.sell(load=2)).instance
    await house.change(seen.id, load=5)
    change = Change(load=3, spill_over=True)
    after = await house.dedicated.update(house.acme, seen.id, change, by=None, seen=seen)
    assert (after.instance.load, after.instance.spill_over) == (5, True)

"""Dedicated instances in the console: quoted, ordered, scaled and ended; what they carried and cost."""

from __future__ import annotations

import re

from antiphon.ledger.levels import Level, Percentiles
from antiphon.ledger.measurements import Measurement, save
from console_service import House
from service import CHAT, SPEECH

ORDER = {
    "model": SPEECH,
    "name": "nights",
    "replicas": "2",
    "from": "2027-02-01T00:00",
    "until": "2027-02-02T00:00",
}


def level(load: int, wait: float) -> Level:
    waits = Percentiles(p50=wait, p90=wait, p95=wait, p99=wait)
    return Level(
        load=load, answered=9, failed=0, seconds=30.0, throughput=50.0 * load, written=20.0,
        prompt_tokens=9.0, answer_tokens=9.0, first_token=waits, answer=waits,
    )  # fmt: skip


async def test_where_there_is_none_it_says_what_one_is(house: House) -> None:
    for role, said in (("owner", "See what it costs"), ("reader", "An owner of the organization orders")):
        async with house.visitor(role) as visitor:  # type: ignore[arg-type]
            text = await visitor.seen("/dedicated")
            assert "No instance yet" in text and "antiphon dedicated tune" in text and said in text


async def test_an_instance_is_quoted_then_reserved_once_scaled_and_ended(house: House) -> None:
    await house.equip()
    async with house.visitor("owner") as visitor:
        await visitor.seen("/dedicated")
        status, text = await visitor.post("/dedicated/quote", ORDER)
        assert status == 200 and "$72" in text and "Nothing is reserved" in text
        listed = house.services.dedicated.listed
        assert (await listed(house.organization.id, after=None, limit=10)).data == []
        fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', text))
        for _ in range(2):
            assert "is reserved" in await visitor.done("/dedicated/create", fields)
        [one] = (await listed(house.organization.id, after=None, limit=10)).data
        assert (one.instance.name, one.instance.replicas, one.price) == ("nights", 2, 1_500_000_000)
        text = await visitor.seen("/dedicated")
        assert "scheduled" in text and 'value="2027-02-02T00:00"' in text and "Calendar" in text
        change = {"instance": one.id, "name": "days", "replicas": "3", "load": "4", "until": ""}
        assert "is changed" in await visitor.done("/dedicated/update", change)
        found = (await house.services.dedicated.get(house.organization.id, one.id)).instance
        assert (found.name, found.replicas, found.load, found.ends_at) == ("days", 3, 4, None)
        assert "has ended" in await visitor.done("/dedicated/end", {"instance": one.id})
        assert "Instances that are over (1)" in await visitor.seen("/dedicated")


async def test_what_cannot_be_had_is_said_on_the_page(house: House) -> None:
    async with house.visitor("owner") as visitor:
        await visitor.seen("/dedicated")
        for wrong in ({"from": "soon"}, {"replicas": "99"}, {"model": "none"}, {}):
            assert 'class="said bad"' in await visitor.refused("/dedicated/quote", ORDER | wrong), wrong
        assert 'class="said bad"' in await visitor.refused("/dedicated/end", {"instance": "dedicated_none"})


async def test_an_order_that_is_refused_is_kept_and_can_be_mended(house: House) -> None:
    async with house.visitor("owner") as visitor:
        await visitor.seen("/dedicated?latency=2")
        for path in ("quote", "create"):
            text = await visitor.refused(f"/dedicated/{path}", ORDER | {"spill_over": "yes"})
            assert 'value="nights"' in text and 'value="2027-02-01T00:00"' in text
            assert 'name="spill_over" value="yes" checked' in text and "What one carries at each load" in text
            assert 'data-here="/dedicated?latency=2"' in text


async def test_a_change_that_is_refused_is_kept_and_shown(house: House) -> None:
    one, other = await house.reserve(name="nights"), await house.reserve(name="days")
    async with house.visitor("owner") as visitor:
        await visitor.seen("/dedicated")
        change = {"instance": one.id, "name": "mornings", "replicas": "99", "load": "4", "until": ""}
        text = await visitor.refused("/dedicated/update", change)
        assert 'value="mornings"' in text and 'value="99"' in text and 'value="nights"' not in text
        assert text.count("<details open>") == 1 and f'value="{other.name}"' in text


async def test_load_curve_and_advice_are_those_of_the_books(house: House) -> None:
    now, owner = int(house.world.wall), house.organization.id
    await house.use(now - 86_400, snapshot=CHAT, input_tokens=9000, output_tokens=1000, input_cost=10**9)
    measured = Measurement(
        id="measurement_1", organization_id=owner, snapshot=CHAT, engine="openvino", measured_at=now,
        levels=(level(1, 1.0), level(4, 3.0)),
    )  # fmt: skip
    await house.world.database.run(lambda connection: save(connection, measured))
    async with house.visitor("reader") as visitor:
        text = await visitor.seen("/dedicated?latency=2")
        assert f"Load curve of {CHAT}" in text and "load 1 carries most in that time" in text
        assert "What an instance costs is not known" in text and "load 4: 200.0 tokens/s, 3.00 s" in text
        for wrong in ("latency=soon", "latency=nan", "tokens=many"):
            assert 'role="alert"' in await visitor.seen(f"/dedicated?{wrong}")


async def test_members_and_readers_look_and_change_nothing(house: House) -> None:
    one = await house.reserve(name="nights")
    for role in ("member", "reader"):
        async with house.visitor(role) as visitor:  # type: ignore[arg-type]
            text = await visitor.seen("/dedicated")
            assert "nights" in text and "End it now" not in text and "See what it costs" not in text
            for path in ("quote", "create", "update", "end"):
                form = {**ORDER, "instance": one.id, "key": "k"}
                assert (await visitor.post(f"/dedicated/{path}", form))[0] == 403

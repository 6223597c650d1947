"""Reading the log: filters, pages, and that nobody sees another organization's."""

from __future__ import annotations

import pytest

from antiphon.access.api_key import NewKey, Realm
from antiphon.access.audit import Event, Filter
from antiphon.errors import InvalidRequest
from antiphon.storage import audit
from antiphon.values import Caller
from tenants import START, World


async def log(world: World, organization_id: str, *numbers: int, by: Caller | None = None) -> None:
    """One event a second for each number."""
    async with world.database.begin() as connection:
        for number in numbers:
            await audit.record(
                connection,
                f"kind.{number % 2}",
                {"id": f"thing_{number}", "number": number},
                organization_id=organization_id,
                by=by,
                now=START + number,
            )


def numbers(events: list[Event]) -> list[int]:
    return [event.payload["number"] for event in events if event.type.startswith("kind.")]


async def test_the_newest_come_first_and_pages_lead_both_ways(world: World) -> None:
    acme = await world.organization()
    await log(world, acme.id, *range(1, 8))
    read = world.access.audit.list
    first = await read(acme.id, limit=3)
    second = await read(acme.id, limit=3, after=first.data[-1].id)
    assert numbers(first.data) == [7, 6, 5] and numbers(second.data) == [4, 3, 2]
    assert first.has_more and second.has_more
    back = await read(acme.id, limit=2, before=second.data[-1].id)
    assert numbers(back.data) == [4, 3] and back.has_more
    newest = await read(acme.id, limit=3, before=first.data[1].id)
    assert numbers(newest.data) == [7] and not newest.has_more
    between = await read(acme.id, after=first.data[0].id, before=second.data[0].id)
    assert numbers(between.data) == [6, 5]


@pytest.mark.fault("the wall clock jumps by an hour")
@pytest.mark.fault("the wall clock saws by a second")
@pytest.mark.parametrize("step", [-3600.0, 3600.0, -1.0])
async def test_the_log_stays_in_order_whatever_the_clock_does(world: World, step: float) -> None:
    acme = await world.organization()
    read = world.access.audit.list
    seen: list[int] = []
    [newest, *_] = (await read(acme.id)).data
    for number in range(12):
        world.wall += 0.25 + (step if number % 2 else -step)  # there and back again
        async with world.database.begin() as connection:
            payload = {"id": "thing", "number": number}
            await audit.record(
                connection, f"kind.{number % 2}", payload, organization_id=acme.id, by=None, now=world.wall
            )
        # Who asks again and again for what is new misses nothing.
        news = (await read(acme.id, before=newest.id)).data
        newest = news[0]
        seen += numbers(news)[::-1]
    assert seen == [*range(12)] and numbers((await read(acme.id)).data) == [*range(11, -1, -1)]


async def test_nobody_sees_another_organization_s_log(world: World) -> None:
    acme, other = await world.organization("acme"), await world.organization("other")
    await log(world, other.id, 1)
    assert numbers((await world.access.audit.list(acme.id)).data) == []
    [foreign] = [
        event for event in (await world.access.audit.list(other.id)).data if event.payload["id"] == "thing_1"
    ]
    seen = await world.access.audit.list(acme.id, before=foreign.id)
    assert {event.payload["id"] for event in seen.data} <= {acme.id}


@pytest.mark.parametrize(
    ("which", "wanted"),
    [
        (Filter(), [4, 3, 2, 1]),
        (Filter(event_types=["kind.1"]), [3, 1]),
        (Filter(event_types=["kind.1", "kind.0"]), [4, 3, 2, 1]),
        (Filter(gt=START + 2), [4, 3]),
        (Filter(gte=START + 2), [4, 3, 2]),
        (Filter(lt=START + 2), [1]),
        (Filter(lte=START + 2), [2, 1]),
        (Filter(gte=START + 2, lt=START + 4, event_types=["kind.0"]), [2]),
        (Filter(gt=0, lte=0), []),
        (Filter(project_ids=["proj_missing"]), []),
        (Filter(actor_ids=["key_missing", "\0"]), []),
        (Filter(actor_emails=["nobody@example.com"]), []),
    ],
)
async def test_filters(world: World, which: Filter, wanted: list[int]) -> None:
    acme = await world.organization()
    await log(world, acme.id, 1, 2, 3, 4)
    assert numbers((await world.access.audit.list(acme.id, which)).data) == wanted


async def test_actors_are_found_by_key_by_owner_and_by_address(world: World) -> None:
    acme = await world.organization()
    ann = await world.access.members.add(acme.id, "ann@example.com", "Ann", "owner", by=None)
    hers = await world.caller(Realm(acme.id), member_id=ann.id)
    nobody_s = await world.caller(Realm(acme.id))
    await log(world, acme.id, 1, by=hers)
    await log(world, acme.id, 2, by=nobody_s)
    await log(world, acme.id, 3)
    read = world.access.audit.list
    for which in (
        Filter(actor_ids=[hers.key_id]),
        Filter(actor_ids=[ann.id]),
        Filter(actor_emails=["Ann@example.com"]),
    ):
        [event] = [e for e in (await read(acme.id, which)).data if e.type.startswith("kind.")]
        assert event.payload["number"] == 1
        assert (event.actor_key_id, event.actor_member_id) == (hers.key_id, ann.id)
        assert event.actor_email == "ann@example.com"
    both = await read(acme.id, Filter(actor_ids=[ann.id, nobody_s.key_id]))
    assert numbers(both.data) == [2, 1]
    [by_operator] = [e for e in (await read(acme.id)).data if e.payload.get("number") == 3]
    assert by_operator.actor_key_id is by_operator.actor_member_id is None


async def test_service_accounts_are_actors_too_and_projects_are_named(world: World) -> None:
    realm = await world.realm()
    assert realm.organization_id and realm.project_id
    account, made = await world.access.service_accounts.create(
        realm.organization_id, realm.project_id, "robot", by=None
    )
    assert made is not None
    by = await world.access.authenticator.authenticate(made[1])
    await world.access.keys.create(NewKey(realm=realm, name="b"), by=by)
    [event] = (await world.access.audit.list(realm.organization_id, Filter(actor_ids=[account.id]))).data
    assert (event.type, event.actor_service_account_id) == ("api_key.created", account.id)
    assert (event.project_id, event.project) == (realm.project_id, "shop")
    of_project = await world.access.audit.list(realm.organization_id, Filter(project_ids=[realm.project_id]))
    assert {event.project_id for event in of_project.data} == {realm.project_id}


@pytest.mark.parametrize("limit", [0, 101])
async def test_a_page_has_bounds(world: World, limit: int) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await world.access.audit.list("org-a", limit=limit)
    assert caught.value.param == "limit"


@pytest.mark.parametrize("param", ["after", "before"])
async def test_what_cannot_be_an_id_is_no_place_in_the_log(world: World, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await world.access.audit.list("org-a", **{param: "\0"})
    assert caught.value.param == param

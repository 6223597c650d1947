from __future__ import annotations

import pytest
from msgspec.structs import replace

from antiphon.access import standing
from antiphon.access.api_key import Realm
from antiphon.access.standing import Standing
from antiphon.admission.gate import Gate
from antiphon.admission.limits import THROTTLED_REQUESTS, Limits, throttled
from antiphon.admission.store import RateLimits
from antiphon.errors import InvalidRequest, RateLimited, Suspended
from antiphon.settings import Settings
from service import CALLER
from tenants import World


async def read(world: World, organization_id: str) -> Standing:
    async with world.database.connect() as connection:
        return await connection.run_sync(standing.read, organization_id)


async def suspend(world: World, organization_id: str, reason: str = "spam") -> bool:
    async with world.database.begin() as connection:
        return await standing.suspend(
            connection, organization_id, reason=reason, flag_id="flag_1", by=None, now=world.wall
        )


async def test_the_keys_of_a_suspended_organization_are_refused_within_half_a_second(world: World) -> None:
    realm = await world.realm()
    organization = realm.organization_id or ""
    _, secret = await world.key(realm)
    _, admin = await world.key(Realm(organization), "admin")
    _, other = await world.key(await world.realm("globex"))
    keys = world.access.authenticator
    await keys.authenticate(secret)
    assert await suspend(world, organization) and not await suspend(world, organization)
    world.monotonic += 0.6
    with pytest.raises(Suspended) as told:
        await keys.authenticate(secret)
    assert (told.value.status, told.value.code, told.value.should_retry) == (
        403,
        "organization_suspended",
        False,
    )
    assert (await keys.authenticate(admin)).kind == "admin"  # who can appeal
    assert await keys.authenticate(other)
    async with world.database.begin() as connection:
        assert await standing.resume(connection, organization, by=None, now=world.wall)
        assert not await standing.resume(connection, organization, by=None, now=world.wall)
    world.monotonic += 0.6
    assert await keys.authenticate(secret)
    assert await read(world, organization) == Standing()
    events = await world.events(organization)
    assert [events.count(f"organization.{what}") for what in ("suspended", "resumed")] == [1, 1]


async def test_a_reason_must_be_one_that_can_be_shown(world: World) -> None:
    organization = await world.organization()
    for reason in ("", "a\nb", "x" * 501):
        with pytest.raises(InvalidRequest) as told:
            await suspend(world, organization.id, reason)
        assert told.value.param == "reason"


async def test_what_is_lifted_is_what_one_flag_brought(world: World) -> None:
    organization = await world.organization()
    await suspend(world, organization.id)
    async with world.database.begin() as connection:
        await standing.throttle(
            connection, organization.id, divisor=10, seconds=60, flag_id="flag_2", now=world.wall
        )
        await standing.lift(connection, organization.id, "flag_3", by=None, now=world.wall)
        await standing.lift(connection, organization.id, "flag_2", by=None, now=world.wall)
    found = await read(world, organization.id)
    assert found.suspension_flag == "flag_1" and found.suspended_at and found.throttled_until is None
    async with world.database.begin() as connection:
        await standing.lift(connection, organization.id, "flag_1", by=None, now=world.wall)
    assert await read(world, organization.id) == Standing()


async def test_the_rates_of_a_throttled_organization_are_divided_for_a_time(world: World) -> None:
    realm = await world.realm()
    limits = RateLimits(
        world.database, Settings(), clock=lambda: world.wall, monotonic=lambda: world.monotonic
    )
    before = await limits.of(realm.project_id or "", "chat-1")
    async with world.database.begin() as connection:
        await standing.throttle(
            connection, realm.organization_id or "", divisor=10, seconds=60, flag_id="flag_2", now=world.wall
        )
    world.monotonic += 0.6
    assert (await limits.of(realm.project_id or "", "chat-1")).requests_per_minute == 300
    world.wall, world.monotonic = world.wall + 61, world.monotonic + 0.6
    assert await limits.of(realm.project_id or "", "chat-1") == before == Limits(requests_per_minute=3000)


async def test_a_throttle_holds_for_instances_of_the_organization_s_own(world: World) -> None:
    realm, other = await world.realm(), await world.realm("globex")
    limits = RateLimits(
        world.database, Settings(), clock=lambda: world.wall, monotonic=lambda: world.monotonic
    )
    gate = Gate(Settings(), lambda: world.monotonic, limits=limits.of)

    async def ask(asking: Realm) -> None:
        who = replace(CALLER, project_id=asking.project_id, organization_id=asking.organization_id)
        async with gate.enter(who, "chat-1@own", lambda: 1, rated_as=None):
            pass

    for _ in range(THROTTLED_REQUESTS + 1):
        await ask(realm)
    async with world.database.begin() as connection:
        await standing.throttle(
            connection, realm.organization_id or "", divisor=10, seconds=60, flag_id="flag_2", now=world.wall
        )
    world.monotonic += 0.6
    for _ in range(THROTTLED_REQUESTS):
        await ask(realm)
    with pytest.raises(
        RateLimited, match="your dedicated instances on requests per minute: limit 60"
    ) as told:
        await ask(realm)
    assert told.value.retry_after and told.value.retry_after <= 1
    await ask(other)
    world.wall, world.monotonic = world.wall + 61, world.monotonic + 0.6
    assert await limits.of(realm.project_id or "", None) == Limits()
    await ask(realm)


def test_who_has_no_limit_gets_one() -> None:
    assert throttled(Limits(), 10) == Limits(requests_per_minute=THROTTLED_REQUESTS)
    assert throttled(Limits(requests_per_minute=5, tokens_per_day=100), 10) == Limits(
        requests_per_minute=1, tokens_per_day=10
    )

"""Limits in the database: whose they are, when they count, and that every change is in the audit log."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select

from antiphon.admission.limits import Limits
from antiphon.admission.store import RateLimits, SpendLimits
from antiphon.errors import InvalidRequest, NotFound, Unavailable
from antiphon.settings import Settings
from antiphon.storage.database import Database
from antiphon.storage.tables import audit_log, organization, project, spend_limit
from antiphon.values import Caller

NOW = 1_800_000_000
ADMIN = Caller(key_id="key_admin", organization_id="org-1", organization="acme", kind="admin")
DEFAULTS = Limits(requests_per_minute=60, tokens_per_minute=1000)


class House:
    """Both stores over one database, with the organizations `org-1` (`proj_1`, `proj_old`) and `org-2`."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.wall, self.now = NOW, 50.0
        self.rates = self.process()
        self.spend = SpendLimits(database, clock=lambda: self.wall)

    def process(self) -> RateLimits:
        settings = Settings(requests_per_minute=60, tokens_per_minute=1000)
        return RateLimits(self.database, settings, clock=lambda: self.wall, monotonic=lambda: self.now)

    async def events(self) -> list[tuple[object, ...]]:
        columns = audit_log.c.type, audit_log.c.project_id, audit_log.c.actor_key_id, audit_log.c.payload
        query = select(*columns).where(audit_log.c.chain != "installation").order_by(audit_log.c.id)
        async with self.database.connect() as connection:
            return [tuple(row) for row in await connection.execute(query)]


@pytest.fixture
async def house(database: Database) -> House:
    async with database.begin() as connection:
        for id, name in (("org-1", "acme"), ("org-2", "other")):
            row = {"id": id, "name": name, "created_at": NOW, "prepaid": False}
            await connection.execute(organization.insert().values(row))
        for id, owner, archived in (
            ("proj_1", "org-1", None),
            ("proj_old", "org-1", NOW),
            ("proj_2", "org-2", None),
        ):
            row = {"id": id, "organization_id": owner, "name": id, "created_at": NOW, "archived_at": archived}
            await connection.execute(project.insert().values(row))
    return House(database)


async def test_without_limits_of_its_own_a_project_has_the_installations(house: House) -> None:
    assert await house.rates.of("proj_1", "m") == DEFAULTS
    assert await house.rates.list("org-1", "proj_1", ["m", "n"]) == {"m": DEFAULTS, "n": DEFAULTS}


async def test_a_limit_counts_for_one_project_and_snapshot(house: House) -> None:
    own = Limits(requests_per_minute=5, tokens_per_minute=0, tokens_per_day=7)
    changes = {"requests_per_minute": 5, "tokens_per_minute": 0, "tokens_per_day": 7}
    assert await house.rates.update("org-1", "proj_1", "m", changes, by=ADMIN) == own
    assert await house.rates.of("proj_1", "m") == own
    assert await house.rates.of("proj_1", "n") == await house.rates.of("proj_2", "m") == DEFAULTS
    assert await house.rates.list("org-1", "proj_1", ["m", "n"]) == {"m": own, "n": DEFAULTS}
    found = await house.rates.own("org-1", "proj_1")
    assert {name: value for name, value in found["m"].items() if value is not None} == changes
    assert house.rates.installed == DEFAULTS


async def test_what_is_not_mentioned_stays_and_none_goes_back(house: House) -> None:
    await house.rates.update("org-1", "proj_1", "m", {"requests_per_minute": 5, "tokens_per_day": 7}, by=None)
    found = await house.rates.update("org-1", "proj_1", "m", {"requests_per_minute": None}, by=None)
    assert found == Limits(requests_per_minute=60, tokens_per_minute=1000, tokens_per_day=7)
    assert await house.rates.update("org-1", "proj_1", "m", {}, by=None) == found
    assert len(await house.events()) == 2, "no change is no event"


async def test_a_change_is_in_force_half_a_second_later_in_every_process(house: House) -> None:
    other = house.process()
    assert await other.of("proj_1", "m") == DEFAULTS
    await house.rates.update("org-1", "proj_1", "m", {"requests_per_minute": 5}, by=None)
    assert await other.of("proj_1", "m") == DEFAULTS
    house.now += 0.5
    assert (await other.of("proj_1", "m")).requests_per_minute == 5


async def test_changes_at_once_are_both_made(house: House) -> None:
    names = ("requests_per_minute", "tokens_per_minute", "tokens_per_day", "concurrent_requests")
    await asyncio.gather(*(house.rates.update("org-1", "proj_1", "m", {n: 9}, by=None) for n in names))
    found = await house.rates.of("proj_1", "m")
    assert [getattr(found, name) for name in names] == [9] * 4


@pytest.mark.parametrize("project_id", ["proj_2", "proj_nowhere"])
async def test_foreign_and_missing_projects_are_the_same(house: House, project_id: str) -> None:
    tries = [
        house.rates.list("org-1", project_id, ["m"]),
        house.rates.update("org-1", project_id, "m", {"tokens_per_day": 7}, by=None),
        house.spend.get("org-1", project_id),
        house.spend.set("org-1", project_id, 100, by=None),
        house.spend.remove("org-1", project_id, by=None),
    ]
    for attempt in tries:
        with pytest.raises(NotFound, match=r"^There is no such project\.$"):
            await attempt
    assert await house.events() == []


async def test_an_archived_project_can_be_read_and_not_changed(house: House) -> None:
    assert await house.rates.list("org-1", "proj_old", ["m"]) == {"m": DEFAULTS}
    assert await house.spend.get("org-1", "proj_old") is None
    with pytest.raises(InvalidRequest):
        await house.rates.update("org-1", "proj_old", "m", {"tokens_per_day": 7}, by=None)
    with pytest.raises(InvalidRequest):
        await house.spend.set("org-1", "proj_old", 100, by=None)


@pytest.mark.parametrize("project_id", [None, "proj_1"])
async def test_a_spend_limit_is_set_changed_and_removed(house: House, project_id: str | None) -> None:
    assert await house.spend.get("org-1", project_id) is None
    await house.spend.set("org-1", project_id, 5000, by=ADMIN)
    house.wall += 10
    await house.spend.set("org-1", project_id, 200, by=ADMIN)
    assert await house.spend.get("org-1", project_id) == 200
    async with house.database.connect() as connection:
        rows = (await connection.execute(select(spend_limit))).all()
    assert [tuple(row) for row in rows] == [(project_id or "org-1", 200, NOW + 10)]
    assert await house.spend.remove("org-1", project_id, by=ADMIN)
    assert await house.spend.get("org-1", project_id) is None
    assert not await house.spend.remove("org-1", project_id, by=ADMIN)


async def test_an_organization_that_is_not_there_has_no_spend_limit(house: House) -> None:
    for attempt in (house.spend.get("org-9"), house.spend.set("org-9", None, 1, by=None)):
        with pytest.raises(NotFound, match=r"^There is no such organization\.$"):
            await attempt


async def test_every_change_is_in_the_audit_log(house: House) -> None:
    changes = {"requests_per_minute": 5, "audio_seconds_per_minute": None, "concurrent_requests": 2}
    await house.rates.update("org-1", "proj_1", "m", changes, by=ADMIN)
    house.wall += 1
    await house.spend.set("org-1", "proj_1", 100, by=ADMIN)
    house.wall += 1
    await house.spend.remove("org-1", "proj_1", by=None)
    house.wall += 1
    await house.spend.set("org-1", None, 100, by=None)
    assert await house.events() == [
        (
            "rate_limit.updated",
            "proj_1",
            "key_admin",
            '{"id":"rl-m","changes_requested":{"max_requests_per_1_minute":5,'
            '"max_audio_seconds_per_1_minute":null,"max_concurrent_requests":2}}',
        ),
        (
            "spend_limit.updated",
            "proj_1",
            "key_admin",
            '{"id":"proj_1","changes_requested":{"threshold_amount":100,"currency":"USD","interval":"month"}}',
        ),
        ("spend_limit.deleted", "proj_1", None, '{"id":"proj_1"}'),
        (
            "spend_limit.updated",
            None,
            None,
            '{"id":"org-1","changes_requested":{"threshold_amount":100,"currency":"USD","interval":"month"}}',
        ),
    ]


async def test_a_database_that_hangs_refuses_in_time(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("antiphon.admission.store.LOOKUP_SECONDS", 0.05)

    async def hang(key: bytes) -> Limits:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(house.rates._lookups, "_find", hang)
    with pytest.raises(Unavailable) as refusal:
        await asyncio.wait_for(house.rates.of("proj_1", "m"), 5)
    assert refusal.value.retry_after == 1

from __future__ import annotations

import pytest

from antiphon.errors import InvalidRequest, NotFound
from antiphon.moderation.policy import DEFAULTS, Threshold
from antiphon.moderation.thresholds import EVERYBODY, ThresholdStore
from antiphon.storage.database import Database
from tenants import World


async def test_an_organization_has_its_own_over_everybodys_over_the_defaults(database: Database) -> None:
    world = World(database)
    organization, other = await world.organization("acme"), await world.organization("globex")
    store = ThresholdStore(database, lambda: world.wall)
    assert await store.of(organization.id) == DEFAULTS
    await store.set(EVERYBODY, "hate", "alert", 0.8, by=None)
    await store.set(organization.id, "hate", "alert", 0.6, times=2, by=None)
    await store.set(organization.id, "hate", "alert", 0.65, times=3, by=None)
    await store.set(organization.id, "sexual", "note", None, by=None)
    own = await store.of(organization.id)
    assert own["hate", "alert"] == Threshold(0.65, 3) and ("sexual", "note") not in own
    assert (await store.of(other.id))["hate", "alert"] == Threshold(0.8)
    assert (await store.of(EVERYBODY))["hate", "alert"] == Threshold(0.8)
    await store.reset(organization.id, by=None)
    assert await store.of(organization.id) == await store.of(other.id)
    events = await world.events(organization.id)
    assert [events.count(f"moderation_threshold.{what}") for what in ("updated", "deleted")] == [3, 1]


@pytest.mark.parametrize(
    ("changed", "param"),
    [
        ({"category": "rude"}, "category"),
        ({"action": "jail"}, "action"),
        ({"score": 0.0}, "score"),
        ({"score": 1.1}, "score"),
        ({"times": 0}, "times"),
    ],
)
async def test_what_cannot_be_is_refused_by_its_name(
    database: Database, changed: dict[str, object], param: str
) -> None:
    store = ThresholdStore(database, lambda: 0.0)
    given = {"category": "hate", "action": "note", "score": 0.5, "times": 1} | changed
    with pytest.raises(InvalidRequest) as told:
        await store.set(EVERYBODY, by=None, **given)  # type: ignore[arg-type]
    assert told.value.param == param


async def test_an_organization_must_be_there(database: Database) -> None:
    store = ThresholdStore(database, lambda: 0.0)
    with pytest.raises(NotFound):
        await store.set("org-none", "hate", "note", 0.5, by=None)
    with pytest.raises(NotFound):
        await store.reset("org-none", by=None)
